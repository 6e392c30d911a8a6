"""Counts the rows of a table as they are answered."""

import numpy as np

from identifiers import make_identifier
from inference import Model
from journal.recorder import Recorder
from journal.tally import Counted
from table_counts import TableCounts


class TableCounter:
    """Of one table, which the journal has as one entry."""

    def __init__(self, model: Model, recorder: Recorder | None) -> None:
        """Without a recorder only the model's own counts are kept."""
        self._model = model
        self._recorder = recorder
        self._sum: TableCounts | None = None

    def add(self, counts: TableCounts) -> None:
        self._model.counts.add_table(counts.classes, counts.probabilities, counts.total)
        self._sum = self._sum.plus(counts) if self._sum else counts

    def close(self) -> None:
        """Also if not all rows were asked for."""
        if self._recorder and self._sum:
            lengths = [len(it) for it in self._model.bins.zeros()]
            features = np.split(self._sum.features, np.cumsum(lengths)[:-1])
            counted = Counted(features, self._sum.classes, {})
            self._recorder.add_table(self._model, make_identifier(), self._sum.rows, counted)
        self._sum = None
