"""Opens CSV: every cell is text, and `columns` knows which are missing."""

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
from worker.tables.table import Batches, Limits, Opener, Table, readable

BLOCK_BYTES = 1024**2  # of text read at a time, so that no row can be longer

# Its handler of Ctrl-C makes a pipe, which a confined process may not.
pa.enable_signal_handlers(False)

OnRow = Callable[[Any], str]  # is told of a row with more cells than the header, or fewer


def open_csv(opener: Opener, limits: Limits) -> Table:
    """Raises MalformedTable."""
    with _readable(opener):
        opener = _end_line(opener)
        schema = _read_header(opener)
    return Table(schema, partial(_read_rows, opener, schema, limits), limits, is_text=True)


def open_rows(content: bytes, names: list[str], delimiter: str, on_row: OnRow) -> Table:
    """Rows below a header with these names; semicolons let a comma separate decimals."""
    schema = _make_schema(names)
    reading = csv.ReadOptions(column_names=names, block_size=len(content) + 1, use_threads=False)
    parsing = _make_parsing(on_row, schema, delimiter)

    def read() -> Batches:
        with readable("CSV"):
            yield from _open_reader(partial(pa.BufferReader, content), reading, parsing)

    return Table(schema, read, is_text=True, decimal="," if delimiter == ";" else ".")


def describe_ragged(row: Any) -> str:
    return f"It has {row.actual_columns} cells, and the header has {row.expected_columns}."


def _read_rows(opener: Opener, schema: Any, limits: Limits) -> Batches:
    ragged = _RaggedRows(limits.rows)
    reading = csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False)
    try:
        with _readable(opener):
            for batch in _open_reader(opener, reading, _make_parsing(ragged.note, schema)):
                if not ragged.last:  # which leaves out rows, so that the next have other numbers
                    yield batch
    except MalformedTable:
        limits.check(ragged.last)
        raise
    ragged.faults.raise_any()


def _end_line(opener: Opener) -> Opener:
    """Add a line end to a header alone: without one it is taken for nothing at all."""
    with opener() as file:
        head = file.read(BLOCK_BYTES)
    if len(head) < BLOCK_BYTES and b"\n" not in head and b"\r" not in head:
        return partial(pa.BufferReader, head + b"\n")
    return opener


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


def _read_header(opener: Opener) -> Any:
    """Needs no pyarrow, which would first look through all rows that do not fit the header."""
    with opener() as file:
        head = file.read(BLOCK_BYTES)
    text = io.TextIOWrapper(io.BytesIO(head), "utf-8-sig", newline="")
    try:
        names = next(filter(None, reader(text)))
    except StopIteration:
        raise MalformedTable("The CSV is empty. Name its columns in the first line.") from None
    except (Error, UnicodeDecodeError) as error:
        raise MalformedTable(f"The header of the CSV cannot be read: {error}.") from None
    return _make_schema(names)


def _make_schema(names: list[str]) -> Any:
    return pa.schema([(name, pa.string()) for name in names])


def _make_parsing(on_row: OnRow, schema: Any, delimiter: str = ",") -> Any:
    """A blank line is a row if there is one column, and nothing if there are more."""
    return csv.ParseOptions(
        delimiter=delimiter,
        newlines_in_values=True,
        invalid_row_handler=on_row,
        ignore_empty_lines=len(schema) > 1,
    )


def _open_reader(opener: Opener, reading: Any, parsing: Any) -> Any:
    converting = csv.ConvertOptions(
        default_column_type=pa.string(), strings_can_be_null=True, null_values=[""]
    )
    return csv.open_csv(opener(), reading, parsing, converting)


@contextmanager
def _readable(opener: Opener) -> Iterator[None]:
    """Raises MalformedTable; with the line, if that is not UTF-8."""
    try:
        with readable("CSV"):
            yield
    except MalformedTable:
        for number, line in enumerate(io.BufferedReader(opener()), start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                said = f"Line {number} of the CSV is not in UTF-8. Save it so."
                raise MalformedTable(said) from None
        raise
