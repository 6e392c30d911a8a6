"""Keeps rows of CSV with fewer or more cells than the header, which pyarrow leaves out."""

import csv
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import pyarrow as pa

from errors import MalformedTable, TableFault
from worker.tables.columns import SHOWN_FAULTS, Faults
from worker.tables.table import UNLIMITED, Batches, Limits


class RaggedRows:
    """Short rows are filled up and put back; others are bad.

    pyarrow keeps it where no garbage collector looks, so it must not lead to the table.
    """

    def __init__(
        self, names: Sequence[str] = (), delimiter: str = ",", limits: Limits = UNLIMITED
    ) -> None:
        self.bad: dict[int, int] = {}  # cells of each bad row, by its number
        self.short: list[int] = []  # places in the batches, from 0, of those put back
        self._waiting: list[tuple[int, list[str]]] = []  # places of short rows, and their cells
        self._schema = pa.schema([(name, pa.string()) for name in names])
        self._delimiter = delimiter
        self._limits = limits
        self._blank = 0  # lines, which are no rows
        self._last = 0  # number of a row

    def note(self, row: Any) -> str:
        """Tell pyarrow what to do next."""
        cells = self._split(row.text)
        if len(cells) == 1 and not cells[0].strip():
            self._blank += 1
            return "error" if self._blank > self._limits.rows else "skip"
        self._last = row.number - self._blank
        if len(cells) == row.actual_columns < row.expected_columns:
            self._waiting.append((self._last - 1 - len(self.bad), cells))
        else:
            self.bad[self._last] = row.actual_columns
        return "error" if self._last > self._limits.rows else "skip"

    def describe(self, number: int) -> str:
        return f"It has {self.bad[number]} cells, and the header has {len(self._schema)}."

    def put_back(self, batches: Batches) -> Batches:
        """The batches with the short rows at their places."""
        rows = 0
        for batch in batches:
            for piece in self._merge(batch, rows) if self._waiting else [batch]:
                rows += piece.num_rows
                yield piece
        if self._waiting:
            yield from self._merge(self._make([]), rows)

    def require_none(self, batches: Batches) -> Batches:
        """The batches up to a bad row, after which rows have other numbers; raises InvalidTable."""
        try:
            yield from (batch for batch in batches if not self.bad)
        except MalformedTable:
            self._limits.check(max(self._last, self._blank))
            raise
        faults = Faults()
        first = [TableFault(self.describe(it), it) for it in [*self.bad][:SHOWN_FAULTS]]
        faults.add(first, len(self.bad) - len(first))
        faults.raise_any()

    def _split(self, line: str) -> list[str]:
        """The cells of a line; none if a quote in it is not closed."""
        try:
            cells, *after = csv.reader([line, "\n"], delimiter=self._delimiter)
        except csv.Error:
            return []
        return cells if after else []

    def _merge(self, batch: Any, rows: int) -> Iterator[Any]:
        """A chunk's short rows at a time, as each may take much more memory than its text."""
        most = self._limits.count_rows(max(1, len(self._schema)))
        while self._waiting:
            places = np.array([place for place, _ in self._waiting[:most]]) - rows
            before = places - np.arange(len(places))  # rows of the batch before each
            count = int(np.searchsorted(before, batch.num_rows, side="right"))
            if not count:
                break
            short = self._make([cells for _, cells in self._waiting[:count]])
            self.short += (places[:count] + rows).tolist()
            del self._waiting[:count]
            end = int(before[count - 1])
            order = np.insert(np.arange(end), before[:count], np.arange(end, end + count))
            merged = pa.concat_batches([batch.slice(0, end), short])
            yield merged.take(pa.array(order))
            rows += end + count
            batch = batch.slice(end)
        yield batch

    def _make(self, rows: list[list[str]]) -> Any:
        """Filled up with missing cells; empty ones are missing too."""
        columns = zip_longest(*rows, range(len(self._schema)))
        arrays = [pa.array([it or None for it in cells], pa.string()) for *cells, _ in columns]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)
