"""Reads the header of CSV: by what its cells are separated, and the names of its columns."""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from typing import NamedTuple

from errors import InvalidTable, MalformedTable, TableFault
from schemas import Feature, Number

# In the order of preference: a comma is the most likely one inside of names and numbers.
DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}
THOUSANDS = {",": "commas", ".": "points", "'": "apostrophes", "\u2019": "apostrophes"}
MAX_HEADER_BYTES = 1024**2
COMPARED_ROWS = 20  # below the header
MOST_READ_AS = 1000  # characters of how a table is read that are shown

_SEPARATOR = re.compile(r'"?sep=([,;\t|])"?[,;|\s]*', re.IGNORECASE)  # as Excel writes it
_DECIMAL_COMMA = re.compile(r"\s*[+-]?[0-9]+,[0-9]+\s*")


class Header(NamedTuple):
    """`size` is that of all text above the first row, in bytes of UTF-8.

    `decimal` is the sign of plain numbers: semicolons let a comma separate decimals, too.
    """

    delimiter: str
    names: list[str]
    size: int
    has_commas: bool = False  # in numbers of the first rows

    @property
    def decimal(self) -> str:
        return "," if self.delimiter == ";" else "."


class _Candidate(NamedTuple):
    """What a header would be; a better one is greater."""

    features: int
    alike: int  # rows with as many cells as the header
    columns: int
    has_commas: bool
    lines: int
    delimiter: str
    names: list[str]


def read_header(head: bytes, features: Sequence[str]) -> Header:
    """Read it from the first MAX_HEADER_BYTES of text in UTF-8, or from all of it.

    Raises MalformedTable, or InvalidTable for a column without a name.
    """
    text = codecs.utf_8_decode(head, "strict", len(head) < MAX_HEADER_BYTES)[0]
    if "\0" in text:
        raise MalformedTable("The text holds NUL characters. Save the file as CSV in UTF-8.")
    lines = list(io.StringIO(text, newline=""))  # `str.splitlines` sees ends elsewhere, too
    above = len(list(takewhile(lambda line: not line.strip(), lines)))
    delimiters = list(DELIMITERS)
    if above < len(lines) and (hint := _SEPARATOR.fullmatch(lines[above])):
        delimiters = [hint[1]]
        above += 1
    if not any(map(str.strip, lines[above:])):
        raise MalformedTable("The CSV is empty. Name its columns in the first line.")
    best = _choose(lines[above:], delimiters, features)
    end = above + best.lines
    if end == len(lines) and len(head) >= MAX_HEADER_BYTES:
        raise _refuse(f"it has not ended {MAX_HEADER_BYTES:,} bytes later")
    size = sum(len(line.encode()) for line in lines[:end])
    has_commas = best.has_commas and best.delimiter == ";"
    return Header(best.delimiter, name_columns(best.names), size, has_commas)


def describe(encoding: str, header: Header, features: Sequence[Feature]) -> str:
    """How text is read, in a sentence."""
    written = [it.written for it in features if isinstance(it, Number) and it.written]
    parts = [f"Read as {encoding}", f"separated by {DELIMITERS[header.delimiter]}"]
    if header.has_commas or any(it.decimal == "," for it in written):
        parts.append("decimal commas")
    signs = sorted({THOUSANDS.get(it.thousands, "blanks") for it in written if it.thousands})
    if signs:
        parts.append(f"thousands in {' and '.join(signs)}")
    return f"{', '.join(parts)}."


def name_columns(names: Sequence[str]) -> list[str]:
    """Without blanks around them; the first may have none, and is that of row numbers.

    Raises MalformedTable without any name, InvalidTable for a column without one.
    """
    found = [name.strip() for name in names]
    if not any(found):
        raise MalformedTable("The table has no header. Name its columns in the first line.")
    if not found[0]:
        rows = ("row", *(f"row_{number}" for number in range(1, len(found))))
        taken = set(found)
        found[0] = next(name for name in rows if name not in taken)
    if "" in found:
        said = f"Column {found.index('') + 1} has no name."
        advice = "Give it one, or take the separator from the end of each line."
        raise InvalidTable([TableFault(f"{said} {advice}")])
    return found


def _choose(lines: list[str], delimiters: list[str], features: Sequence[str]) -> _Candidate:
    """Raises MalformedTable if no delimiter makes a header of the lines."""
    candidates, refusals = [], []
    for delimiter in delimiters:
        try:
            candidates.append(_read(lines, delimiter, features))
        except csv.Error as error:  # another may open no cell by that quote
            refusals.append(error)
    if refusals and not any(candidate.features for candidate in candidates):
        raise _refuse(str(refusals[0]))
    return max(candidates, key=_rate)  # the first of those that are alike


def _rate(candidate: _Candidate) -> tuple[int, int, int, bool]:
    """A single column is as well one of commas."""
    return *candidate[:3], candidate.delimiter == "," and candidate.columns == 1


def _read(lines: list[str], delimiter: str, features: Sequence[str]) -> _Candidate:
    rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    names = next((row for row in rows if any(map(str.strip, row))), [])
    end, size = rows.line_num, len(names)
    found = len({name.strip() for name in names}.intersection(features))
    below = list(_take_rows(rows))
    alike = sum(len(row) == size > 1 for row in below)
    has_commas = any(_DECIMAL_COMMA.fullmatch(cell) for row in below for cell in row)
    return _Candidate(found, alike, size, has_commas, end, delimiter, names)


def _take_rows(rows: Iterator[list[str]]) -> Iterator[list[str]]:
    """The first ones, as far as they can be read."""
    try:
        yield from islice(rows, COMPARED_ROWS)
    except csv.Error:
        return


def _refuse(why: str) -> MalformedTable:
    advice = "Perhaps it is not CSV, or a quote in it is never closed"
    return MalformedTable(f"The header of the CSV cannot be read: {why}. {advice}.")
