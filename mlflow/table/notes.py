"""Recognises rows that are no data: units below the header, totals at the end."""

import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import pandas as pd

from table.cells import MISSING
from table.columns import Column
from table.notation import MAX_AFFIX
from table.numbers import INFINITE
from table.phrases import enumerate_all

MOST_LAST = 3  # rows at the end; if more look like notes, none of them is one
_FEW = 3  # features of which a row of data has more than one
COMPARED = 20  # first rows, with that of the units

_SUMS = "total|sum|mean|average|gesamt|somme|moyenne"
_LABEL = re.compile(rf"(?i)^(grand )?({_SUMS})s?:?$")  # of a row, beside the features
_WORDS = re.compile(rf"(?ais)^(?:[^0-9].*[\s:]|{_SUMS}|source|note|quelle|fuente|media)")


class Notes(NamedTuple):
    """The rows' numbers in the table's index, and the unit that stands above each column."""

    units: dict[str, str]
    rows: list[int]

    def describe(self, short: Collection[int]) -> list[str]:
        """A remark for each kind, and one for short rows of data."""
        return [*_describe_short(len({*short}.difference(self.rows))), *self._describe_rows()]

    def _describe_rows(self) -> list[str]:
        last = [row + 1 for row in self.rows if row]
        remarks = ["Row 1 holds units and is left out."] if 0 in self.rows else []
        if len(last) == 1:
            remarks.append(f"Row {last[0]} is no data and is left out.")
        if len(last) > 1:
            remarks.append(f"Rows {enumerate_all(last)} are no data and are left out.")
        return remarks


NO_NOTES = Notes({}, [])


def find_edges(index: pd.Index, first: int = 2) -> pd.Series:
    """Which rows may be notes, and those beside them, which show it."""
    places = pd.Series(range(len(index)), index=index)
    return (places < first) | (places >= len(index) - MOST_LAST - 1)


class Tail(NamedTuple):
    """A table's last rows, beside the features that `columns` are, and those that are short."""

    columns: dict[str, Column]
    beside: pd.DataFrame
    is_labelled: pd.Series
    short: Collection[int]

    def is_note(self, row: int) -> bool:
        """The backend has the same rule."""
        numbers = [it for it in self.columns.values() if it.kind == "number"]
        if any(row in it.strays.index for it in numbers):
            return True
        cells = [it.values.get(row) for it in self.columns.values()]
        present = [cell for cell in cells if pd.notna(cell)]
        beside = [cell for cell in self.beside.loc[row] if _is_there(cell)]
        if not present or (len(present) == 1 and len(cells) >= _FEW and not beside):
            return True
        if self.is_labelled[row]:
            return False
        is_line = row in self.short and not any(pd.notna(it.values.get(row)) for it in numbers)
        return _match(_LABEL, beside) or (is_line and _match(_WORDS, [*present, *beside]))


def find_notes(tail: Tail) -> Notes:
    """The features have their first and last cells."""
    tail = tail._replace(columns={name: _leave_infinite(it) for name, it in tail.columns.items()})
    units = _read_units([it for it in tail.columns.values() if it.kind == "number"])
    last: list[int] = []
    for row in range(len(tail.is_labelled) - 1, 0, -1):
        if not tail.is_note(row):
            break
        last.insert(0, row)
        if len(last) > MOST_LAST:
            return Notes(units, [0] if units else [])
    return Notes(units, [0, *last] if units else last)


def _leave_infinite(column: Column) -> Column:
    """To be refused as they are elsewhere."""
    is_infinite = column.strays.astype(str).str.fullmatch(INFINITE)
    return column._replace(strays=column.strays[~is_infinite.astype(bool)])


def _read_units(numbers: list[Column]) -> dict[str, str]:
    """The texts in the first row, by column, if only rows below it have numbers; or nothing."""
    there = [it.values.loc[: COMPARED - 1].dropna().index for it in numbers]
    if any(0 in index for index in there) or not any(map(len, there)):
        return {}
    first = [column.strays for column in numbers if 0 in column.strays.index]
    texts = {str(strays.name): str(strays.loc[0]) for strays in first}
    if all(text[0].isdigit() for text in texts.values()):
        return {}
    return {name: text.strip("()[] ")[:MAX_AFFIX] for name, text in texts.items()}


def _describe_short(count: int) -> Iterator[str]:
    if count == 1:
        yield "1 row is shorter than the header, and what it lacks is missing."
    if count > 1:
        yield f"{count:,} rows are shorter than the header, and what they lack is missing."


def _is_there(cell: Any) -> bool:
    return bool(pd.notna(cell)) and cell not in MISSING


def _match(pattern: re.Pattern[str], cells: list[Any]) -> bool:
    return any(isinstance(cell, str) and pattern.search(cell) for cell in cells)
