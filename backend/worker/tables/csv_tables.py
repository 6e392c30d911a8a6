"""Opens CSV: every cell is text, and `columns` knows which are missing."""

import codecs
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import pyarrow as pa
from pyarrow import csv

from errors import MalformedTable, TableFault
from worker.tables.columns import Faults
from worker.tables.tables import Batches, Limits, Source, Table, readable, require_columns

HEADER_BYTES = 65_536
BLOCK_BYTES = 1024**2  # of text read at a time, so that no row can be longer

OnRow = Callable[[Any], str]


def open_csv(source: Source, features: int, limits: Limits) -> Table:
    """Raises MalformedTable or InvalidTable."""
    with _readable(source):
        source = _end_line(source)
        schema = _read_header(source)
        require_columns(schema, features)
    return Table(schema, partial(_read, source, schema, limits), is_text=True)


def _read(source: Source, schema: Any, limits: Limits) -> Batches:
    ragged = _RaggedRows(limits.rows)
    try:
        with _readable(source):
            for batch in _open(source, ragged.note, has_blank_rows=len(schema) == 1):
                if not ragged.last:  # which leaves out rows, so that the next have other numbers
                    yield batch
    except MalformedTable:
        limits.check(ragged.last)
        raise
    ragged.faults.raise_any()


def _end_line(source: Source) -> Source:
    """With an end to a header alone, which is taken for nothing at all without one."""
    with source() as file:
        head = file.read(BLOCK_BYTES)
    if len(head) < BLOCK_BYTES and b"\n" not in head and b"\r" not in head:
        return partial(pa.BufferReader, head + b"\n")
    return source


class _RaggedRows:
    """Those with more cells than the header, or fewer; `last` is the number of the last one."""

    def __init__(self, most: int) -> None:
        self.faults = Faults()
        self.last = 0
        self._most = most

    def note(self, row: Any) -> str:
        """What to do next, as pyarrow asks it."""
        self.last = row.number - 1  # the header is a line, and no row
        said = f"It has {row.actual_columns} cells, and the header has {row.expected_columns}."
        self.faults.add([TableFault(said, self.last)])
        return "error" if self.last > self._most else "skip"


def _read_header(source: Source) -> Any:
    """In a small block, as what is in it is read; in a large one where that has no end."""
    with suppress(pa.ArrowInvalid):
        return _open(source, _skip, block_bytes=HEADER_BYTES).schema
    return _open(source, _skip).schema


def _skip(_: Any) -> str:
    return "skip"


def _open(
    source: Source, on_row: OnRow, has_blank_rows: bool = False, block_bytes: int = BLOCK_BYTES
) -> Any:
    """With one column a blank line is a row; with more it is none."""
    return csv.open_csv(
        source(),
        csv.ReadOptions(block_size=block_bytes, use_threads=False),
        csv.ParseOptions(
            newlines_in_values=True,
            invalid_row_handler=on_row,
            ignore_empty_lines=not has_blank_rows,
        ),
        csv.ConvertOptions(
            default_column_type=pa.string(), strings_can_be_null=True, null_values=[""]
        ),
    )


@contextmanager
def _readable(source: Source) -> Iterator[None]:
    try:
        with readable("CSV"):
            yield
    except MalformedTable:
        _require_utf_8(source)
        raise


def _require_utf_8(source: Source) -> None:
    """Raises MalformedTable with the line that is not."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, piece = 1, b"."
    with source() as file:
        while piece:
            piece = file.read(BLOCK_BYTES)
            try:
                decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                line += error.object.count(b"\n", 0, error.start)
                said = f"Line {line} of the CSV is not in UTF-8. Save it so."
                raise MalformedTable(said) from None
            line += piece.count(b"\n")
