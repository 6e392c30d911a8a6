"""Reads the rows of a CSV file: every cell is a text."""

import io
import re
from itertools import islice, zip_longest

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

from errors import UnusableTable
from reading.origin import SEPARATORS
from reading.separators import Header, read_rows

BLOCK_BYTES = 1024**2
BLOCK_ROWS = 1_000
TITLES = 5  # lines, below which a longer row hardly is the header

_TEXT = pa.large_string()


def read_cells(text: bytes, header: Header) -> tuple[pd.DataFrame, list[int]]:
    """Read the rows of UTF-8, and which are shorter than the header; raises UnusableTable.

    Cells are trimmed; empty ones are missing, and those that a short row lacks.
    """
    table, short = _read(text, header)
    return _to_frame(table), short


def trim(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts without the blanks around them; null where nothing is left."""
    trimmed = pc.utf8_trim_whitespace(cells)
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed)


def _read(text: bytes, header: Header) -> tuple[pa.Table, list[int]]:
    if _needs_care(text, header):
        return _read_carefully(text, header)
    try:
        return _read_quickly(text, header), []
    except pa.ArrowInvalid:  # a row is short or long, or takes more than a block
        return _read_carefully(text, header)


def _needs_care(text: bytes, header: Header) -> bool:
    """Whether pyarrow would read quotes otherwise than people mean them.

    One behind a blank it takes literally, one that is not closed it closes at the end.
    """
    quotes = text.count(b'"', header.end)
    if quotes % 2 or header.end == len(text):
        return True
    after_blank = re.compile(rf'[{re.escape(header.separator)}\r\n] +"'.encode())
    return quotes > 0 and after_blank.search(text, header.end - 1) is not None


def _read_quickly(text: bytes, header: Header) -> pa.Table:
    """Raises ArrowInvalid if that is not possible."""
    return read_csv(
        pa.PythonFile(_Blocks(memoryview(text)[header.end :]), "r"),
        ReadOptions(column_names=header.names, block_size=BLOCK_BYTES),
        ParseOptions(delimiter=header.separator, newlines_in_values=True),
        ConvertOptions(column_types=dict.fromkeys(header.names, _TEXT)),
    )


class _Blocks:
    """A file of which no block ends inside of CRLF.

    Quoted, that would lose its LF (apache/arrow#51368).
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


def _read_carefully(text: bytes, header: Header) -> tuple[pa.Table, list[int]]:
    """Fills up short rows; raises UnusableTable for a long one."""
    lines = io.BytesIO(text)
    lines.seek(header.end)
    rows = read_rows(io.TextIOWrapper(lines, "utf-8", newline=""), header.separator)
    batches, short, number, width = [], [], 0, len(header.names)
    while block := list(islice(rows, BLOCK_ROWS)):
        for number, row in enumerate(block, start=number + 1):  # noqa: B020
            if len(row) > width:
                _refuse_long(number, row, header)
            if len(row) < width:
                short.append(number - 1)
        columns = zip_longest(header.names, *block)
        batches.append([pa.array(cells, _TEXT) for _, *cells in columns])
    chunks = [*zip(*batches, strict=True)] or [()] * width
    arrays = [pa.chunked_array(column, _TEXT) for column in chunks]
    return pa.table(arrays, header.names), short


def _refuse_long(number: int, row: list[str], header: Header) -> None:
    message = f"Row {number} has {len(row)} fields, the header has {len(header.names)}"
    sign = SEPARATORS[header.separator].removesuffix("s")
    advice = f"Quote the field that contains a {sign}"
    if number <= TITLES:
        advice = f"Delete what stands above the header, or quote the field that contains a {sign}"
    raise UnusableTable(f"{message}. {advice}.")


def _to_frame(table: pa.Table) -> pd.DataFrame:
    columns = {}
    for name in table.column_names:
        columns[name] = trim(table.column(name)).to_pandas()
        table = table.drop_columns(name)  # so that its memory can be used again
    return pd.DataFrame(columns, copy=False)
