"""Opens Arrow streams and Parquet files."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from errors import InvalidTable, TableFault, shorten
from worker.tables.arrow_messages import size_arrow
from worker.tables.columns import SHOWN_FAULTS
from worker.tables.parquet_pages import size_parquet
from worker.tables.tables import (
    CHUNK_BYTES,
    Batches,
    Limits,
    Table,
    count_rows,
    readable,
    require_columns,
)
from worker.tables.unpacking import is_view, size_buffers, size_column


def open_arrow(body: bytes, features: int, limits: Limits) -> Table:
    source = pa.py_buffer(body)
    with readable("Arrow stream"):
        size = size_arrow(body)  # before pyarrow makes of it what it says
        schema = pa.ipc.open_stream(source).schema
        require_columns(schema, features)
        limits.check(size)
    return Table(schema, partial(_read_arrow, source, limits))


def _read_arrow(source: Any, limits: Limits) -> Batches:
    options = pa.ipc.IpcReadOptions(use_threads=False)
    with readable("Arrow stream"), pa.ipc.open_stream(source, options=options) as batches:
        yield from _validate(batches, limits)


def _validate(batches: Batches, limits: Limits) -> Batches:
    """The offsets in them are the caller's; those of a dictionary count for each of its columns."""
    shared = 0
    for batch in batches:
        size = sum(
            size_buffers(column.dictionary)
            for column in batch.columns
            if pa.types.is_dictionary(column.type)
        )
        shared += size
        limits.check_bytes(0, at_once=size)
        limits.check_dictionaries(shared)
        batch.validate()
        # All views may be of the same text, which is looked at for each.
        limits.check_bytes(sum(size_column(it) for it in batch.columns if is_view(it.type)))
        batch.validate(full=True)
        yield batch


def open_parquet(body: bytes, features: int, limits: Limits) -> Table:
    with readable("Parquet file"):
        size = size_parquet(body)  # before pyarrow reads headers, which may end the process
        file = pq.ParquetFile(pa.BufferReader(body))
        require_columns(file.schema_arrow, features)
        limits.check(size)
        texts = [
            column.name
            for column in map(file.schema.column, range(len(file.schema_arrow)))
            if column.physical_type == "BYTE_ARRAY"
        ]
        read = partial(pq.ParquetFile, read_dictionary=texts, pre_buffer=False)
        kept = read(pa.BufferReader(body)).schema_arrow
        _require_shared(kept, texts)
    schema = pa.schema(
        [
            now if pa.types.is_dictionary(field.type) else field
            for field, now in zip(file.schema_arrow, kept, strict=True)
        ],
        file.schema_arrow.metadata,
    )
    return Table(schema, partial(_read_parquet, body, read, limits))


def _require_shared(kept: Any, texts: list[str]) -> None:
    """Raises InvalidTable for what pyarrow would hold once for each row that has it."""
    faults = [
        TableFault(
            f"{shorten(name)} is of type {kind}, kept as bytes of any length. Drop or convert it.",
            None,
            shorten(name),
        )
        for name in texts
        if not pa.types.is_dictionary(kind := kept.field(name).type)
    ]
    if faults:
        raise InvalidTable(faults[:SHOWN_FAULTS], more=len(faults[SHOWN_FAULTS:]))


def _read_parquet(body: bytes, read: Callable[[Any], Any], limits: Limits) -> Batches:
    with readable("Parquet file"):
        file = read(pa.BufferReader(body))
        width = sum(map(_width, file.schema_arrow.types))
        rows = max(1, min(count_rows(len(file.schema_arrow)), CHUNK_BYTES // (width + 1)))
        yield from _validate(file.iter_batches(rows, use_threads=False), limits)


def _width(kind: Any) -> int:
    """Bytes of a cell, where all have the same."""
    try:
        return int(kind.bit_width) // 8
    except ValueError:
        return 0
