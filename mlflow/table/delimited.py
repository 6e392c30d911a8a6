"""Reads the rows of a CSV file: every cell is a text."""

import csv
import io
import re
from collections.abc import Iterator
from itertools import chain

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

from errors import UnusableTable

_END = "\x1e"  # a last line that no table has: inside a cell, it shows that a quote is left open


def read_rows(text: bytes, separator: str, names: list[str]) -> pd.DataFrame:
    """Read the lines below the header, in UTF-8; raises UnusableTable.

    Cells are trimmed; an empty one is missing.
    """
    if _needs_filling(text, separator):
        text, separator = _fill(text, separator, len(names)), ","
    try:
        return _read(text, separator, names)
    except pa.ArrowInvalid:
        return _read(_fill(text, separator, len(names)), ",", names)


def _needs_filling(text: bytes, separator: str) -> bool:
    """Whether a quote follows a blank, which pyarrow takes literally, or one is left open."""
    quotes = text.count(b'"')
    after_blank = rf'[{re.escape(separator)}\r\n] +"'.encode()
    return quotes % 2 == 1 or (quotes > 0 and re.search(after_blank, text) is not None)


def _read(text: bytes, separator: str, names: list[str]) -> pd.DataFrame:
    if not text or text.isspace():
        return pd.DataFrame(columns=names, dtype="str")
    table = read_csv(
        pa.BufferReader(text),
        ReadOptions(column_names=names),
        ParseOptions(delimiter=separator, newlines_in_values=True),
        ConvertOptions(column_types=dict.fromkeys(names, pa.large_string())),
    )
    columns = {}
    for name in names:
        columns[name] = _trim(table.column(name)).to_pandas()
        table = table.drop_columns(name)  # to let go of its memory
    return pd.DataFrame(columns, copy=False)


def _trim(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    trimmed = pc.utf8_trim_whitespace(cells)
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed)


def _fill(text: bytes, separator: str, width: int) -> bytes:
    """Write the rows again, with commas, short ones filled up; raises UnusableTable."""
    filled = io.StringIO(newline="")
    write = csv.writer(filled).writerow
    for number, row in enumerate(_read_fields(text, separator), start=1):
        if len(row) > width:
            message = f"Row {number} has {len(row)} fields, the header has {width}"
            raise UnusableTable(f"{message}. Quote the field that contains {separator!r}.")
        write(row + [""] * (width - len(row)))
    return filled.getvalue().encode()


def _read_fields(text: bytes, separator: str) -> Iterator[list[str]]:
    """The fields of each line but the blank ones; raises UnusableTable."""
    csv.field_size_limit(len(text) + 1)
    lines = io.TextIOWrapper(io.BytesIO(text), "utf-8", newline="")
    rows = csv.reader(chain(lines, [_END]), delimiter=separator, skipinitialspace=True)
    row: list[str] = []
    for number, row in enumerate(rows, start=1):  # noqa: B007
        if len(row) > 1 or (row and row[0].strip() and row != [_END]):
            yield row
    if row != [_END]:
        message = f"A quote is opened in row {number} and never closed"
        raise UnusableTable(f"{message}. Close it, or write it twice inside quotes.")
