"""Opens CSV: every cell is text, and `columns` knows which are missing."""

import codecs
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pyarrow as pa
from pyarrow import csv

from errors import MalformedTable, TableFault
from worker.tables.columns import Faults
from worker.tables.tables import Batches, Limits, Table, readable, require_columns

HEADER_BYTES = 65_536
BLOCK_BYTES = 1024**2  # of text read at a time, so that no row can be longer
UTF_8_BYTES = 65_536  # looked at in one go

OnRow = Callable[[Any], str]


def open_csv(body: bytes, features: int, limits: Limits) -> Table:
    """Raises MalformedTable, InvalidTable or TableTooLarge."""
    _require_utf_8(body)
    if b"\n" not in body and b"\r" not in body:
        body += b"\n"  # or a header alone is taken for nothing at all
    with readable("CSV"):
        schema = _read_header(body)
    require_columns(schema, features)
    return Table(schema, partial(_read, body, schema, limits), is_text=True)


def _read(body: bytes, schema: Any, limits: Limits) -> Batches:
    ragged = _RaggedRows(limits.rows)
    try:
        with readable("CSV"):
            for batch in _open(body, ragged.note, has_blank_rows=len(schema) == 1):
                if not ragged.last:  # which leaves out rows, so that the next have other numbers
                    yield batch
    except MalformedTable:
        limits.check_rows(ragged.last)
        raise
    ragged.faults.raise_any()


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


def _read_header(body: bytes) -> Any:
    """In a small block, as what is in it is read; in a large one where that has no end."""
    with suppress(pa.ArrowInvalid):
        return _open(body, _skip, block_bytes=HEADER_BYTES).schema
    return _open(body, _skip).schema


def _skip(_: Any) -> str:
    return "skip"


def _open(
    body: bytes, on_row: OnRow, has_blank_rows: bool = False, block_bytes: int = BLOCK_BYTES
) -> Any:
    """With one column a blank line is a row; with more it is none."""
    return csv.open_csv(
        pa.BufferReader(body),
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


def _require_utf_8(body: bytes) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    text = memoryview(body)
    for start in range(0, len(body) + 1, UTF_8_BYTES):
        begun = len(decoder.getstate()[0])  # of a character that the last piece cut
        end = start + UTF_8_BYTES
        try:
            decoder.decode(text[start:end], final=end > len(body))
        except UnicodeDecodeError as error:
            line = body.count(b"\n", 0, start - begun + error.start) + 1
            raise MalformedTable(f"Line {line} of the CSV is not in UTF-8. Save it so.") from None
