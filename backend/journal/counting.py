"""Counts the rows of a table as they are answered."""

from features.counts import TableCounts
from journal.recorder import Recorder
from serving.inference import Model


class TableCounter:
    """Of one table, which the journal has as one entry."""

    def __init__(self, model: Model, recorder: Recorder | None) -> None:
        """Without a recorder only the model's own counts are kept."""
        self._model = model
        self._recorder = recorder
        self._sum: TableCounts | None = None

    def add(self, counts: TableCounts) -> None:
        self._model.counts.add_table(counts)
        self._sum = self._sum.plus(counts) if self._sum else counts

    def close(self) -> None:
        """Also if not all rows were asked for."""
        if self._recorder and self._sum:
            self._recorder.add_table(self._model, self._sum)
        self._sum = None
