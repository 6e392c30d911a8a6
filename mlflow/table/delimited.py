"""Reads the rows of a CSV file: every cell is a text."""

import csv
import io
import re

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

from errors import UnusableTable
from table.origin import SEPARATORS
from table.separators import Header, read_rows

BLOCK_BYTES = 1024**2
MAX_BLOCK_BYTES = 2**31 - 1  # pyarrow takes no more


def read_cells(text: bytes, header: Header) -> pd.DataFrame:
    """Read the rows of UTF-8; cells are trimmed, empty ones missing. Raises UnusableTable."""
    if not _needs_filling(text, header):
        try:
            return _read(pa.py_buffer(text).slice(header.end), header, _find_block(text, header))
        except pa.ArrowInvalid:  # a row is short or long, or takes more than a block
            pass
    filled = _fill(text, header)
    try:
        return _read(filled, header._replace(separator=","), filled.size)
    except pa.ArrowInvalid as error:
        message = f"The file is no table: {str(error).strip().rstrip('.')}"
        raise UnusableTable(f"{message}. Split it into smaller ones.") from None


def trim(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts without the blanks around them; null where nothing is left."""
    trimmed = pc.utf8_trim_whitespace(cells)
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed)


def _needs_filling(text: bytes, header: Header) -> bool:
    """Whether a quote follows a blank, which pyarrow takes literally, or one is left open."""
    quotes = text.count(b'"', header.end)
    after_blank = re.compile(rf'[{re.escape(header.separator)}\r\n] +"'.encode())
    return quotes % 2 == 1 or (quotes > 0 and after_blank.search(text, header.end) is not None)


def _find_block(text: bytes, header: Header) -> int:
    """All of a text of which a block would end inside of CRLF.

    Quoted, that would lose its LF (apache/arrow#51368).
    """
    edges = range(header.end + BLOCK_BYTES, len(text), BLOCK_BYTES)
    is_cut = any(text[edge - 1 : edge + 1] == b"\r\n" for edge in edges)
    return len(text) if is_cut and b'"' in text else BLOCK_BYTES


def _read(text: pa.Buffer, header: Header, block_bytes: int) -> pd.DataFrame:
    if not text.size:
        return pd.DataFrame(columns=header.names, dtype="str")
    table = read_csv(
        pa.BufferReader(text),
        ReadOptions(column_names=header.names, block_size=min(block_bytes, MAX_BLOCK_BYTES)),
        ParseOptions(delimiter=header.separator, newlines_in_values=True),
        ConvertOptions(column_types=dict.fromkeys(header.names, pa.large_string())),
    )
    columns = {}
    for name in header.names:
        columns[name] = trim(table.column(name)).to_pandas()
        table = table.drop_columns(name)  # so that its memory can be used again
    return pd.DataFrame(columns, copy=False)


def _fill(text: bytes, header: Header) -> pa.Buffer:
    """Write the rows again, with commas, the short ones filled; raises UnusableTable."""
    filled, lines = io.BytesIO(), io.BytesIO(text)
    lines.seek(header.end)
    writer = io.TextIOWrapper(filled, "utf-8", newline="")
    write, width = csv.writer(writer).writerow, len(header.names)
    rows = read_rows(io.TextIOWrapper(lines, "utf-8", newline=""), header.separator)
    for number, row in enumerate(rows, start=1):
        if len(row) > width:
            message = f"Row {number} has {len(row)} fields, the header has {width}"
            separators = SEPARATORS[header.separator]
            raise UnusableTable(f"{message}. Quote the field that contains {separators}.")
        write(row + [""] * (width - len(row)))
    writer.flush()
    return pa.py_buffer(filled.getvalue())
