"""Reads tables of many rows, a chunk at a time."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from errors import InvalidTable, MalformedTable, TableFault, TableTooLarge, shorten
from worker.tables.columns import Faults

# A chunk is what is in memory at a time.
CHUNK_ROWS = 16_384
CHUNK_CELLS = 131_072
MIN_CHUNK_ROWS = 256
CHUNK_BYTES = 8 * 1024**2

MAX_EXTRA_COLUMNS = 1000
VIEW_BYTES = 16  # of a view, the first four of which are the length

Batches = Iterator[Any]  # of pyarrow.RecordBatch, which has no types
Source = Callable[[], Any]  # opens a pyarrow file at its beginning


class Limits(NamedTuple):
    """Of a table in all; its bytes are those of the cells, however few stand for them."""

    rows: int
    unpacked_bytes: int

    def check(self, rows: int, size: int = 0) -> None:
        """Raises TableTooLarge."""
        if rows > self.rows:
            raise TableTooLarge(f"More than {self.rows} rows are not taken. Send fewer at a time.")
        if size > self.unpacked_bytes:
            said = f"The table unpacks to more than {self.unpacked_bytes} bytes."
            raise TableTooLarge(f"{said} Send fewer rows at a time.")


@dataclass(frozen=True)
class Table:
    """`read` gives the same batches each time; `is_text` if every cell is, as in CSV."""

    schema: Any
    read: Callable[[], Batches]
    is_text: bool = False

    def chunks(self, limits: Limits, more_columns: int = 0) -> Batches:
        """Bounded in rows, cells and bytes; `more_columns` are those of the answer."""
        rows = size = 0
        for piece in _slice(self.read(), count_rows(len(self.schema) + more_columns)):
            rows += piece.num_rows
            size += size_batch(piece)
            limits.check(rows, size)
            yield from _split(piece)


def count_rows(columns: int) -> int:
    """Rows of a chunk."""
    return min(CHUNK_ROWS, max(MIN_CHUNK_ROWS, CHUNK_CELLS // columns))


def _slice(batches: Batches, rows: int) -> Batches:
    """Cut large batches, and put small ones together: each chunk has a cost of its own."""
    waiting: list[Any] = []
    left_rows, left_bytes = rows, CHUNK_BYTES
    for batch in batches:
        for start in range(0, batch.num_rows, rows):
            piece = batch.slice(start, rows)
            if piece.num_rows > left_rows or piece.nbytes > left_bytes:
                yield from _join(waiting)
                waiting, left_rows, left_bytes = [], rows, CHUNK_BYTES
            waiting.append(piece)
            left_rows, left_bytes = left_rows - piece.num_rows, left_bytes - piece.nbytes
    yield from _join(waiting)


def _join(batches: list[Any]) -> list[Any]:
    """One batch, or all of them if their dictionaries cannot become one."""
    try:
        return [pa.concat_batches(batches)] if len(batches) > 1 else batches
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return batches


def _split(batch: Any) -> Batches:
    if batch.num_rows == 1 or size_batch(batch) <= CHUNK_BYTES:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _split(batch.slice(0, half))
    yield from _split(batch.slice(half))


def size_batch(batch: Any) -> int:
    """Bytes of its rows if none of them shared any; those in dictionaries are an estimate."""
    return sum(map(_size, batch.columns))


def _size(column: Any) -> int:
    column = getattr(column, "storage", column)
    if pa.types.is_dictionary(column.type):
        values = column.dictionary
        return len(column) * (4 + int(values.nbytes) // max(1, len(values)))
    if pa.types.is_string_view(column.type) or pa.types.is_binary_view(column.type):
        count, start = VIEW_BYTES // 4 * len(column), VIEW_BYTES * column.offset
        views = np.frombuffer(column.buffers()[1], np.int32, count, start)
        lengths = views[:: VIEW_BYTES // 4].astype(np.int64)  # of anything if a text is missing
        return VIEW_BYTES * len(column) + int(lengths.clip(0).sum())
    return int(column.nbytes)


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Raises MalformedTable for whatever a broken body makes pyarrow say."""
    try:
        yield
    except MemoryError:
        raise
    except (pa.ArrowException, OSError, LookupError, UnicodeDecodeError) as error:
        said = shorten(str(error).partition("\n")[0])
        raise MalformedTable(f"The body is no {what} that can be read: {said}.") from None


def require_columns(schema: Any, features: int) -> None:
    """Raises InvalidTable for columns that no table can have here, whatever the model."""
    if not len(schema):
        raise InvalidTable([TableFault("The table has no columns.")])
    if len(schema) > features + MAX_EXTRA_COLUMNS:
        said = f"More than {MAX_EXTRA_COLUMNS} columns beside the features are not taken."
        raise InvalidTable([TableFault(said)])
    twice = sorted(name for name, count in Counter(schema.names).items() if count > 1)
    faults = Faults()
    faults.add_columns((it, f"There are two columns {shorten(it)}.") for it in twice)
    held = "Columns hold numbers, booleans, text or times: drop it."
    faults.add_columns(
        (it.name, f"{shorten(it.name)} is of type {shorten(str(it.type))}. {held}")
        for it in schema
        if not _is_plain(it.type)
    )
    faults.raise_any()


def _is_plain(kind: Any) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    types = pa.types
    is_nested = types.is_nested(kind) or types.is_run_end_encoded(kind)
    is_odd = types.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType)
    return not (is_nested or is_odd or types.is_interval(kind))
