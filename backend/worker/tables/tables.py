"""Reads tables of many rows, a chunk at a time."""

import struct
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from errors import InvalidTable, MalformedTable, TableFault, TableTooLarge, shorten
from worker.tables.unpacking import Unpacked, is_view, size_buffers, size_column

# A chunk is what is in memory at a time, and what one-row requests may have to wait for.
CHUNK_ROWS = 16_384
CHUNK_CELLS = 131_072
MIN_CHUNK_ROWS = 256
CHUNK_BYTES = 8 * 1024**2

MAX_FIXED_BYTES = 1024  # of a cell in a column where all are as wide
MAX_EXTRA_COLUMNS = 1000

# As multiples of MAX_BODY_BYTES: what a compressed table may unpack to.
AT_ONCE = 4
IN_ALL = 64
DICTIONARIES = 512  # as often as batches and columns have them; each is looked through anew

Batches = Iterator[Any]  # of pyarrow.RecordBatch, which has no types


class Limits(NamedTuple):
    rows: int
    body_bytes: int

    def check_rows(self, rows: int) -> None:
        if rows > self.rows:
            raise TableTooLarge(f"More than {self.rows} rows are not taken. Send fewer at a time.")

    def check_bytes(self, total: int, at_once: int = 0) -> None:
        if total > IN_ALL * self.body_bytes or at_once > AT_ONCE * self.body_bytes:
            raise TableTooLarge(
                f"The table unpacks to more than {AT_ONCE * self.body_bytes} bytes at once or "
                f"{IN_ALL * self.body_bytes} in all. Send fewer rows at a time."
            )

    def check_dictionaries(self, total: int) -> None:
        if total > DICTIONARIES * self.body_bytes:
            raise TableTooLarge(
                "The texts that columns share in dictionaries are too large to look through for "
                "each batch of rows. Send fewer rows at a time, or larger batches."
            )

    def check(self, unpacked: Unpacked) -> None:
        self.check_rows(unpacked.rows)
        self.check_bytes(unpacked.total, unpacked.at_once)


@dataclass(frozen=True)
class Table:
    """`read` gives the same batches each time; `is_text` where every cell is, as in CSV."""

    schema: Any
    read: Callable[[], Batches]
    is_text: bool = False

    def chunks(self, limits: Limits, more_columns: int = 0) -> Batches:
        """Bounded in rows, cells and bytes; `more_columns` are those of the answer."""
        total_rows = total_bytes = 0
        for piece in _slice(self.read(), count_rows(len(self.schema) + more_columns)):
            total_rows += piece.num_rows
            limits.check_rows(total_rows)
            for chunk in _split(piece):
                # A cell costs time where it costs no byte.
                total_bytes += _size(chunk) + chunk.num_rows * chunk.num_columns
                limits.check_bytes(total_bytes)
                yield self._restore(chunk)

    def _restore(self, chunk: Any) -> Any:
        """With the types of the schema: text is read from Parquet as it is kept, once each."""
        if chunk.schema.types == self.schema.types:
            return chunk
        columns = map(_cast, chunk.columns, self.schema.types)
        return pa.RecordBatch.from_arrays(list(columns), schema=self.schema)


def count_rows(columns: int) -> int:
    """Rows of a chunk."""
    return min(CHUNK_ROWS, max(MIN_CHUNK_ROWS, CHUNK_CELLS // columns))


def _slice(batches: Batches, rows: int) -> Batches:
    """Parts of large batches, and small ones put together: each chunk has a cost of its own."""
    waiting: list[Any] = []
    left_rows, left_bytes = rows, CHUNK_BYTES
    for batch in batches:
        size = sum(map(size_buffers, batch.columns))
        for start in range(0, batch.num_rows, rows):
            piece = batch.slice(start, rows)
            if piece.num_rows > left_rows or size > left_bytes:
                yield from _join(waiting)
                waiting, left_rows, left_bytes = [], rows, CHUNK_BYTES
            waiting.append(piece)
            left_rows, left_bytes = left_rows - piece.num_rows, left_bytes - size
    yield from _join(waiting)


def _join(batches: list[Any]) -> list[Any]:
    try:
        return [pa.concat_batches(batches)] if len(batches) > 1 else batches
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # dictionaries that cannot become one
        return batches


def _split(batch: Any) -> Batches:
    if _size(batch) <= CHUNK_BYTES:
        yield batch
    elif batch.num_rows == 1:
        raise TableTooLarge(f"A row is larger than {CHUNK_BYTES} bytes.")
    else:
        half = batch.num_rows // 2
        yield from _split(batch.slice(0, half))
        yield from _split(batch.slice(half))


def _cast(column: Any, kind: Any) -> Any:
    decoded = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return column if column.type == kind else decoded.cast(kind)


def _size(batch: Any) -> int:
    return sum(map(size_column, batch.columns))


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Raises MalformedTable for whatever a broken body makes pyarrow say."""
    try:
        yield
    except (pa.ArrowException, OSError, struct.error, LookupError, UnicodeDecodeError) as error:
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
    faults = [
        TableFault(f"There are two columns {shorten(name)}.", None, shorten(name)) for name in twice
    ]
    faults += [
        TableFault(
            f"{shorten(field.name)} is of type {shorten(str(field.type))}. "
            "Columns hold numbers, booleans, text or times: drop it.",
            None,
            shorten(field.name),
        )
        for field in schema
        if not _is_plain(field.type)
    ]
    if faults:
        raise InvalidTable(faults[:20], more=len(faults[20:]))


def _is_plain(kind: Any) -> bool:
    """Of others, a few bytes can stand for any number of values."""
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        # What is counted in a dictionary or a view is not seen in a type around it.
        stored = kind.storage_type
        return _is_plain(stored) and not (types.is_dictionary(stored) or is_view(stored))
    if types.is_dictionary(kind):
        kind = kind.value_type
        is_shared = is_view(kind) or types.is_dictionary(kind)
        return _is_plain(kind) and not (is_shared or isinstance(kind, pa.BaseExtensionType))
    is_nested = types.is_nested(kind) or types.is_run_end_encoded(kind)
    is_wide = types.is_fixed_size_binary(kind) and kind.byte_width > MAX_FIXED_BYTES
    return not (is_nested or is_wide or types.is_interval(kind))
