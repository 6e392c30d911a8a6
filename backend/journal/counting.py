"""Counts the rows of a table as they are answered."""

from binning import Array
from identifiers import make_identifier
from inference import Model
from journal.recorder import Recorder
from journal.tally import Counted, Tally, count_classes


class TableCounter:
    """Of one table, which the journal has as one entry."""

    def __init__(self, model: Model, recorder: Recorder | None) -> None:
        """Without a recorder only the model's own counts are kept."""
        self._model = model
        self._recorder = recorder
        self._tally = Tally(model.description)
        self._rows = 0

    def add(self, X: Array, indices: Array, probabilities: Array | None) -> None:
        """X of shape (n, f) with its answers, of shapes (n,) and (n, k)."""
        self._model.counts.add_table(indices, probabilities)
        self._rows += len(X)
        if self._recorder:
            classes = count_classes(self._model.description, indices)
            self._tally = self._tally.plus(Counted(self._model.bins.count(X), classes, {}))

    def close(self) -> None:
        """Also where not all rows were asked for."""
        if self._recorder and self._rows:
            counted = Counted(self._tally.features, self._tally.classes, {})
            self._recorder.add_table(self._model, make_identifier(), self._rows, counted)
        self._rows = 0
