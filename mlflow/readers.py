"""Reads the rows of a partition, a chunk at a time."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from inputs import Array, Fault
from sources import Partition, Source

# A chunk is what is in memory at a time, and a row group of what is written.
CHUNK_ROWS = 131_072
CHUNK_CELLS = 4_000_000
CHUNK_BYTES = 32 * 1024**2
MIN_CHUNK_ROWS = 1024

BUFFER_BYTES = 1024**2  # of each column of Parquet

REPLACED = "\ufffd"  # what stands for bytes that are no text


class Chunk(NamedTuple):
    """Rows with their numbers in the partition, from 1, and what is wrong with rows left out."""

    rows: Any
    numbers: Array
    faults: list[Fault]


def read(partition: Partition, source: Source) -> Iterator[Chunk]:
    """Raises ChangedFile, OSError or pyarrow.ArrowException where the file cannot be read."""
    if partition.piece is not None:
        yield from _read_csv(partition.piece, source)
        return
    partition.file.require_same()
    if source.kind == "parquet":
        yield from _read_parquet(partition)
    else:
        yield from _read_csv(_read_bytes(partition), source)
    partition.file.require_same()


def _read_parquet(partition: Partition) -> Iterator[Chunk]:
    # Through a buffer, or each column of a group would be in memory whole.
    options: dict[str, Any] = {"pre_buffer": False, "buffer_size": BUFFER_BYTES}
    with pq.ParquetFile(partition.path, **options) as file:
        groups = range(partition.start, partition.end)
        size = sum(file.metadata.row_group(it).total_byte_size for it in groups)
        rows = sum(file.metadata.row_group(it).num_rows for it in groups)
        most = _count_rows(len(file.schema_arrow), size // rows)
        done = 0
        for batch in file.iter_batches(most, row_groups=list(groups), use_threads=False):
            yield Chunk(batch, np.arange(done + 1, done + batch.num_rows + 1), [])
            done += batch.num_rows


def _read_bytes(partition: Partition) -> bytes:
    with partition.file.path.open("rb") as file:
        file.seek(partition.start)
        return file.read(partition.end - partition.start)


def _read_csv(content: bytes, source: Source) -> Iterator[Chunk]:
    text, is_damaged = _decode(content)
    table, ragged = _parse(text, source)
    yield from _split(table, ragged, is_damaged)


def _decode(content: bytes) -> tuple[bytes, bool]:
    """In UTF-8, and whether it was not."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return content.decode(errors="replace").encode(), True
    return content, False


def _parse(content: bytes, source: Source) -> tuple[Any, list[Fault]]:
    """Its rows, and those with more cells than the header, or fewer."""
    ragged: list[Fault] = []

    def note(row: Any) -> str:
        said = f"It has {row.actual_columns} cells, and the header has {row.expected_columns}."
        ragged.append(Fault(row.number, "", said))
        return "skip"

    names = source.schema.names
    table = csv.read_csv(
        pa.BufferReader(content),
        csv.ReadOptions(column_names=names, block_size=len(content) + 1, use_threads=False),
        csv.ParseOptions(
            delimiter=source.delimiter,
            newlines_in_values=True,
            invalid_row_handler=note,
            ignore_empty_lines=len(names) > 1,  # with one column a blank line is a row
        ),
        csv.ConvertOptions(column_types=source.schema, strings_can_be_null=True, null_values=[""]),
    )
    return table, ragged


def _split(table: Any, ragged: list[Fault], is_damaged: bool) -> Iterator[Chunk]:
    numbers = _number(table.num_rows, ragged)
    most = _count_rows(table.num_columns, table.nbytes // max(1, table.num_rows))
    batches = table.combine_chunks().to_batches(most) or [_make_empty(table.schema)]
    start = 0
    for batch in batches:
        now = numbers[start : start + batch.num_rows]
        start += batch.num_rows
        last = start == table.num_rows
        faults = [it for it in ragged if last or it.row < now[-1]]
        ragged = ragged[len(faults) :]
        chunk = Chunk(batch, now, faults)
        yield _leave_damaged_out(chunk) if is_damaged else chunk


def _number(rows: int, ragged: list[Fault]) -> Array:
    """Of the rows that are there, where others were left out."""
    left_out = np.array([it.row for it in ragged], dtype=np.int64)
    numbers = np.arange(1, rows + 1)
    # Of the rows before each that was left out, so many are there.
    before = left_out - 1 - np.arange(len(left_out))
    return numbers + np.searchsorted(before, numbers - 1, side="right")


def _leave_damaged_out(chunk: Chunk) -> Chunk:
    is_damaged = np.zeros(chunk.rows.num_rows, dtype=bool)
    for column in chunk.rows.columns:
        found = pc.match_substring(column, REPLACED).fill_null(False)
        is_damaged |= found.to_numpy(zero_copy_only=False)
    said = "It holds bytes that are no UTF-8."
    faults = [Fault(int(it), "", said) for it in chunk.numbers[is_damaged]]
    kept = chunk.rows.filter(pa.array(~is_damaged))
    return Chunk(kept, chunk.numbers[~is_damaged], sorted([*chunk.faults, *faults]))


def _make_empty(schema: Any) -> Any:
    return pa.RecordBatch.from_arrays([pa.nulls(0, it) for it in schema.types], schema=schema)


def _count_rows(columns: int, row_bytes: int) -> int:
    most = min(CHUNK_ROWS, CHUNK_CELLS // columns, CHUNK_BYTES // max(1, row_bytes))
    return max(MIN_CHUNK_ROWS, most)
