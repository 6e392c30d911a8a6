"""Finds the header of a CSV file, and what separates its fields."""

import csv
import io
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import NamedTuple

from errors import UnusableTable

SAMPLE_BYTES = 1_000_000
SAMPLE_ROWS = 20

# In the order of preference: a comma is the most likely one inside of names and numbers.
_SEPARATORS = (";", "\t", "|", ",")

# Excel's hint for itself.
_HINT = re.compile(r'\s*"?sep=([,;\t|])"?[,;\t| ]*(\r\n|\n|\r|\Z)', re.IGNORECASE)

_END = "\x1e\x04\x1e"  # a last line that no table has: inside a cell, a quote is left open


class Header(NamedTuple):
    """The names of the columns; `end` is where the bytes of the first row begin."""

    separator: str
    names: list[str]
    end: int


def read_header(text: bytes) -> Header:
    """Find the header in UTF-8; raises UnusableTable.

    The separator is that under which the most rows have as many fields as the header.
    """
    sample = text[:SAMPLE_BYTES].decode(errors="ignore")
    hint = _HINT.match(sample)
    start = hint.end() if hint else 0
    tried = [_try(sample, start, separator) for separator in (hint[1] if hint else _SEPARATORS)]
    header = max(tried, key=_rate).header
    if header.names == [_END]:
        raise UnusableTable("The file is empty. Give it a header line and rows below.")
    _require_closed(header.names, "the header")
    return header


def read_rows(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    """The fields of each line that holds more than blanks; raises UnusableTable."""
    for number, row in enumerate(_split(lines, separator), start=1):
        if row == [_END]:
            return
        _require_closed(row, f"row {number}")
        yield row


class _Try(NamedTuple):
    header: Header
    fitting: int  # of the first rows


def _rate(one: _Try) -> tuple[int, int, bool]:
    """A single column is as well one of commas."""
    columns = len(one.header.names)
    return one.fitting, columns, columns == 1 and one.header.separator == ","


def _try(sample: str, start: int, separator: str) -> _Try:
    lines = io.StringIO(sample, newline="")
    lines.seek(start)
    rows = _split(iter(lines.readline, ""), separator)
    names = next(row for row in rows if any(map(str.strip, row)))
    end = len(sample[: lines.tell()].encode())
    fitting = sum(len(row) == len(names) > 1 for row in islice(rows, SAMPLE_ROWS))
    return _Try(Header(separator, names, end), fitting)


def _split(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    csv.field_size_limit(sys.maxsize)
    for row in csv.reader(chain(lines, [_END]), delimiter=separator, skipinitialspace=True):
        if len(row) > 1 or any(map(str.strip, row)):
            yield row


def _require_closed(row: list[str], place: str) -> None:
    if row[-1].endswith(_END):
        message = f"A quote is opened in {place} and never closed"
        raise UnusableTable(f"{message}. Close it, or double a quote that belongs to the text.")
