"""Recognises rows that are no data: units below the header, totals at the end."""

from typing import NamedTuple

import pandas as pd

from table.columns import Column
from table.notation import MAX_AFFIX
from table.numbers import INFINITE
from table.phrases import enumerate_all

MOST_LAST = 3  # rows at the end; if more look like notes, none of them is one
_FEW = 3  # features of which a row of data has more than one


class Notes(NamedTuple):
    """The rows' numbers in the table's index, and the unit that stands above each column."""

    units: dict[str, str]
    rows: list[int]

    def describe(self) -> list[str]:
        """A remark for each kind."""
        last = [row + 1 for row in self.rows if row]
        remarks = ["Row 1 holds units and is left out."] if 0 in self.rows else []
        if len(last) == 1:
            remarks.append(f"Row {last[0]} is no data and is left out.")
        if len(last) > 1:
            remarks.append(f"Rows {enumerate_all(last)} are no data and are left out.")
        return remarks


NO_NOTES = Notes({}, [])


def find_edges(index: pd.Index) -> pd.Series:
    """Which rows may be notes, and those beside them, which show it."""
    places = pd.Series(range(len(index)), index=index)
    return (places <= 1) | (places >= len(index) - MOST_LAST - 1)


def find_notes(columns: dict[str, Column], rows: int) -> Notes:
    """`columns` are the features with their first and last cells, of a table with so many rows."""
    numbers = [_leave_infinite(it) for it in columns.values() if it.kind == "number"]
    units = _read_units(numbers)
    last: list[int] = []
    for row in range(rows - 1, 0, -1):
        if not (_holds_text(row, numbers) or _is_nearly_empty(row, columns)):
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
    """The texts in the first row, by column, if numbers begin in the second; or nothing."""
    are_there = [any(pd.notna(column.values.get(row)) for column in numbers) for row in (0, 1)]
    if are_there != [False, True]:
        return {}
    first = [column.strays for column in numbers if 0 in column.strays.index]
    texts = {str(strays.name): str(strays.loc[0]) for strays in first}
    if all(text[0].isdigit() for text in texts.values()):
        return {}
    return {name: text.strip("()[] ")[:MAX_AFFIX] for name, text in texts.items()}


def _holds_text(row: int, numbers: list[Column]) -> bool:
    return any(row in column.strays.index for column in numbers)


def _is_nearly_empty(row: int, columns: dict[str, Column]) -> bool:
    there = sum(pd.notna(column.values.get(row)) for column in columns.values())
    return there == 0 or (there == 1 and len(columns) >= _FEW)
