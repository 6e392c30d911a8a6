"""Opens CSV: every cell is text, and `cells` knows what it stands for."""

import re
from codecs import BOM_UTF8
from collections.abc import Callable
from functools import partial
from typing import Any

import pyarrow as pa
from pyarrow import csv

from schemas import Description
from worker.encodings import BLOCK_BYTES, UTF_8, find_encoding, recode, split
from worker.headers import MAX_HEADER_BYTES, Header, describe, read_header
from worker.tables.cells import make_readers
from worker.tables.notes import Notes
from worker.tables.ragged import RaggedRows
from worker.tables.table import Batches, Limits, Table, readable

# Its handler of Ctrl-C makes a pipe, which a confined process may not.
pa.enable_signal_handlers(False)

OnRow = Callable[[Any], str]  # is told of a row with more cells than the header, or fewer


def open_csv(content: memoryview, limits: Limits, known: Description) -> Table:
    """Raises MalformedTable, or InvalidTable for a column without a name."""
    given = known.written.encoding if known.written else None
    encoding = find_encoding(partial(split, content), given)
    if encoding != UTF_8 or bytes(content[:3]) == BOM_UTF8:
        content = memoryview(b"".join(recode(split(content), encoding)))
    names = [feature.name for feature in known.features]
    header = read_header(bytes(content[:MAX_HEADER_BYTES]), names)
    rows = _Rows(content[header.size :], header.names, header.delimiter)
    notes = Notes(make_readers(known, header.decimal), rows.schema, target=known.target.name)

    def read() -> Batches:
        ragged = RaggedRows(header.names, header.delimiter, limits)
        # No row can be longer than a block.
        batches = ragged.put_back(rows.read(ragged.note, BLOCK_BYTES))
        return notes.watch(ragged.require_none(batches), ragged.short)

    said = describe(encoding, header, known.features)
    return Table(rows.schema, read, limits, True, header.decimal, said, notes)


def open_rows(
    content: memoryview, header: Header, known: Description, ragged: RaggedRows, **ends: bool
) -> Table:
    """Rows below a header, read once; `ends` say if they are a table's first ones, or its last."""
    rows = _Rows(content, header.names, header.delimiter)
    readers, target = make_readers(known, header.decimal), known.target.name
    notes = Notes(readers, rows.schema, **ends, target=target)

    def read() -> Batches:
        batches = ragged.put_back(rows.read(ragged.note, len(content) + 1))
        return notes.watch(batches, ragged.short)

    return Table(rows.schema, read, is_text=True, decimal=header.decimal, notes=notes)


class _Rows:
    """Text below a header."""

    def __init__(self, text: memoryview, names: list[str], delimiter: str) -> None:
        self.schema = pa.schema([(name, pa.string()) for name in names])
        self._delimiter = delimiter
        self._text = _join_quotes(text, delimiter)

    def read(self, on_row: OnRow, block_bytes: int) -> Batches:
        """A blank line is a row if there is one column, and nothing if there are more."""
        if not self._text:
            return
        names, has_columns = self.schema.names, len(self.schema) > 1
        reading = csv.ReadOptions(column_names=names, block_size=block_bytes, use_threads=False)
        parsing = csv.ParseOptions(
            delimiter=self._delimiter,
            newlines_in_values=True,
            invalid_row_handler=on_row,
            ignore_empty_lines=has_columns,
        )
        converting = csv.ConvertOptions(
            default_column_type=pa.string(), strings_can_be_null=True, null_values=[""]
        )
        with readable("CSV"):
            file = pa.PythonFile(_Blocks(self._text), "r")
            yield from csv.open_csv(file, reading, parsing, converting)


class _Blocks:
    """A file none of whose blocks ends between a carriage return and its line feed.

    There pyarrow loses the line feed of a cell in quotes: apache/arrow#51368.
    """

    closed = False

    def __init__(self, text: memoryview) -> None:
        self._text = text

    def read(self, size: int) -> memoryview:
        end = size - (bytes(self._text[size - 1 : size + 1]) == b"\r\n")
        block, self._text = self._text[:end], self._text[end:]
        return block

    def close(self) -> None:
        """pyarrow asks for it."""


def _join_quotes(text: memoryview, delimiter: str) -> memoryview:
    """Take away blanks before quotes, which pyarrow would take for a cell's own."""
    content = bytes(text)
    if b' "' not in content:
        return text
    mark = re.escape(delimiter.encode())
    quoted = rb'(\A|[\r\n]|%b) *("[^"]*(?:""[^"]*)*")' % mark
    return memoryview(re.sub(quoted, rb"\1\2", content))
