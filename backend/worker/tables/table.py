"""Reads tables of many rows, a chunk at a time."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from errors import InvalidTable, MalformedTable, TableFault, TableTooLarge, shorten
from worker.exchange import Array
from worker.tables.notes import NO_NOTES, Notes

# A chunk is what is in memory at a time.
CHUNK_ROWS = 16_384
CHUNK_COLUMNS = 8  # so many rows of them, and fewer of more
MIN_CHUNK_ROWS = 256
CHUNK_BYTES = 8 * 1024**2

VIEW_BYTES = 16  # of a view, the first four of which are the length

Batches = Iterator[Any]  # of pyarrow.RecordBatch, which has no types
Opener = Callable[[], Any]  # opens a pyarrow file at its beginning


class Limits(NamedTuple):
    """Of a table in all; its bytes are those of the cells, however few stand for them."""

    rows: int
    unpacked_bytes: int
    chunk_rows: int = CHUNK_ROWS

    def count_rows(self, columns: int) -> int:
        """Rows of a chunk."""
        most = self.chunk_rows
        return min(most, max(MIN_CHUNK_ROWS, CHUNK_COLUMNS * most // columns))

    def check(self, rows: int, size: int = 0) -> None:
        """Raises TableTooLarge."""
        if rows > self.rows:
            raise TableTooLarge(f"More than {self.rows} rows are not taken. Send fewer at a time.")
        if size > self.unpacked_bytes:
            said = f"The table unpacks to more than {self.unpacked_bytes} bytes."
            raise TableTooLarge(f"{said} Send fewer rows at a time.")


# For files: only a chunk is in memory at a time, and large ones are quicker.
UNLIMITED = Limits(sys.maxsize, sys.maxsize, chunk_rows=65_536)


@dataclass(frozen=True)
class Table:
    """`read` gives the same batches each time; `is_text` if cells are as people write them."""

    schema: Any
    read: Callable[[], Batches]
    limits: Limits = UNLIMITED
    is_text: bool = False
    decimal: str = "."  # in text, between the whole numbers and the rest
    said: str = ""  # how it is read, in a sentence
    notes: Notes = NO_NOTES  # rows that are no data, known once all have been read
    sheets: Sequence[str] = ()  # names of all in a workbook

    @property
    def read_as(self) -> str:
        """Sentences for people."""
        return " ".join(filter(None, (self.said, self.notes.describe())))

    @property
    def no_data(self) -> Sequence[int]:
        """Places of rows, such as totals, that get no answer."""
        return self.notes.places

    def chunks(self, more_columns: int = 0) -> Batches:
        """Bounded in rows, cells and bytes; `more_columns` are those of the answer."""
        rows = size = 0
        for piece in _slice(self.read(), self.limits.count_rows(len(self.schema) + more_columns)):
            rows += piece.num_rows
            size += size_batch(piece)
            self.limits.check(rows, size)
            yield from _split(piece)

    def mask_data(self, first: int, rows: int) -> Array | None:
        """Which of so many rows, from the first on, are data; None if all of them are."""
        places = [place - first for place in self.no_data if first <= place < first + rows]
        if not places:
            return None
        mask = np.ones(rows, bool)
        mask[places] = False
        return mask

    def require_data(self, rows: int) -> None:
        """Raise InvalidTable if none of its rows, so many in all, are data."""
        if rows <= len(self.no_data):
            raise InvalidTable([TableFault("The table has no rows. Send at least one.")])


def _slice(batches: Batches, rows: int) -> Batches:
    """Cut large batches, and put small ones together: each chunk has a cost of its own."""
    waiting: list[Any] = []
    left_rows, left_bytes = rows, CHUNK_BYTES
    for batch in batches:
        for start in range(0, batch.num_rows, rows):
            piece = batch.slice(start, rows)
            if piece.num_rows > left_rows or piece.nbytes > left_bytes:
                yield from _join_batches(waiting)
                waiting, left_rows, left_bytes = [], rows, CHUNK_BYTES
            waiting.append(piece)
            left_rows, left_bytes = left_rows - piece.num_rows, left_bytes - piece.nbytes
    yield from _join_batches(waiting)


def _join_batches(batches: list[Any]) -> list[Any]:
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
