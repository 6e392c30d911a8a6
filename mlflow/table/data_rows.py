"""Finds the rows of a table that are data, and reads its features in them."""

from functools import partial

import pandas as pd

from reading.formats import Table
from table.cells import blank_missing
from table.choices import Choices
from table.columns import Column, read_columns, read_quantities
from table.identifiers import are_row_numbers
from table.labels import find_labelled
from table.notes import COMPARED, NO_NOTES, Notes, Tail, find_edges, find_notes


class DataRows:
    """Those that have a label and are no notes."""

    def __init__(self, table: Table, target: str, choices: Choices) -> None:
        self.notes = NO_NOTES
        self._table = table
        self._frame = table.frame.drop(columns=target)
        self._drop = choices.drop
        self._codes = choices.categories
        self._is_labelled = find_labelled(table.frame[target], target in choices.categories)
        self._read = partial(
            read_columns, codes=choices.categories, semicolons=table.origin.separator == ";"
        )

    def read(self) -> dict[str, Column]:
        """All columns that may be features."""
        frame = self._frame.drop(columns=[*self._drop], errors="ignore")
        if not self._table.origin.is_text:
            return self._read_data(frame)
        is_read = self._is_labelled | find_edges(frame.index)
        columns = self._read(frame if is_read.all() else frame[is_read])
        self.notes = self._find_notes(columns)
        is_data = self._is_data()
        return columns if is_data.equals(is_read) else self._read_data(frame)

    def settle(self, selected: dict[str, Column]) -> dict[str, Column]:
        """The features, once notes are those that the backend finds, which knows no others."""
        if not self._table.origin.is_text:
            return selected
        edges = self._frame.loc[find_edges(self._frame.index, COMPARED), [*selected]]
        columns = {name: self._reread(one, edges[name]) for name, one in selected.items()}
        before, self.notes = self.notes, self._find_notes(columns)
        if before.rows == self.notes.rows:
            return selected
        return self._read_data(self._frame[[*selected]])

    def numbers_rows(self, name: str, column: Column) -> bool:
        """Whether the column does in all rows, also in those without a label."""
        every = blank_missing(self._frame[name].drop(self.notes.rows))
        return are_row_numbers(read_quantities(every, column.written))

    def _read_data(self, frame: pd.DataFrame) -> dict[str, Column]:
        is_data = self._is_data()
        return self._read(frame if is_data.all() else frame[is_data])

    def _is_data(self) -> pd.Series:
        return self._is_labelled & ~self._frame.index.isin(self.notes.rows)

    def _find_notes(self, columns: dict[str, Column]) -> Notes:
        beside = self._frame.drop(columns=[*columns])
        return find_notes(Tail(columns, beside, self._is_labelled, {*self._table.short}))

    def _reread(self, column: Column, cells: pd.Series) -> Column:
        values = blank_missing(cells, cells.name in self._codes)
        if column.kind != "number":
            return column._replace(values=values)
        numbers = read_quantities(values, column.written)
        return column._replace(values=numbers, strays=values[values.notna() & numbers.isna()])
