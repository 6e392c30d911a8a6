"""Opens CSV: every cell is text, and `columns` knows which are missing."""

import codecs
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from csv import Error, reader
from functools import partial
from typing import Any

import pyarrow as pa
from pyarrow import csv

from errors import MalformedTable, TableFault
from worker.tables.columns import Faults
from worker.tables.tables import Batches, Limits, Source, Table, readable, require_columns

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
    """Add a line end to a header alone: without one it is taken for nothing at all."""
    with source() as file:
        head = file.read(BLOCK_BYTES)
    if len(head) < BLOCK_BYTES and b"\n" not in head and b"\r" not in head:
        return partial(pa.BufferReader, head + b"\n")
    return source


class _RaggedRows:
    """Rows with more cells than the header, or fewer; `last` is the number of the last one."""

    def __init__(self, most: int) -> None:
        self.faults = Faults()
        self.last = 0
        self._most = most

    def note(self, row: Any) -> str:
        """Tell pyarrow what to do next."""
        self.last = row.number - 1  # the header is a line, and no row
        self.faults.add([TableFault(describe_ragged(row), self.last)])
        return "error" if self.last > self._most else "skip"


def _read_header(source: Source) -> Any:
    """Without pyarrow, which would look through all rows that do not fit the header first."""
    with source() as file:
        head = file.read(BLOCK_BYTES)
    text = io.TextIOWrapper(io.BytesIO(head), "utf-8-sig", newline="")
    try:
        names = next(filter(None, reader(text)))
    except StopIteration:
        raise MalformedTable("The CSV is empty. Name its columns in the first line.") from None
    except (Error, UnicodeDecodeError) as error:
        raise MalformedTable(f"The header of the CSV cannot be read: {error}.") from None
    return pa.schema([(name, pa.string()) for name in names])


def make_parse_options(on_row: OnRow, has_blank_rows: bool, delimiter: str = ",") -> Any:
    """A blank line is a row if there is one column, and nothing if there are more."""
    return csv.ParseOptions(
        delimiter=delimiter,
        newlines_in_values=True,
        invalid_row_handler=on_row,
        ignore_empty_lines=not has_blank_rows,
    )


def describe_ragged(row: Any) -> str:
    """The fault of a row that pyarrow leaves out."""
    return f"It has {row.actual_columns} cells, and the header has {row.expected_columns}."


def _open(source: Source, on_row: OnRow, has_blank_rows: bool) -> Any:
    return csv.open_csv(
        source(),
        csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
        make_parse_options(on_row, has_blank_rows),
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
