"""Puts a model's answers to a chunk of rows into columns."""

import json
from collections.abc import Collection, Sequence
from math import nan
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from features.answers import count_renamings, name_answers, rename
from features.binning import ModelBins
from features.counts import TableCounts, count_table
from features.warnings import name_warnings
from worker.exchange import Array
from worker.opened_model import OpenedModel
from worker.tables.unusual import UnusualCells

TEXT = pa.dictionary(pa.int32(), pa.string())
VERSION = b"model_version"


class Scored(NamedTuple):
    """A chunk of the rows that were sent, and the columns of their answers."""

    sent: Any
    answers: list[Any]


class Answers:
    """The columns that a model adds to a table: null where it has no answer to a row."""

    def __init__(self, model: OpenedModel) -> None:
        self.model = model
        self.version = model.description.version
        self.classes = model.classes if model.has_probabilities else []
        self.names = name_answers(self.classes)
        self.renamed = 0  # how often
        self.kinds = [TEXT, *[pa.float64()] * len(self.classes)]
        self.read_as = ""  # said of the table
        self._unusual = UnusualCells(model.description.features)
        self.warnings = self._unusual.none.copy()
        self.json_labels = pa.array([json.dumps(name) for name in model.classes])
        self._labels = pa.array(model.classes)
        self._bins = ModelBins(model.description.features)
        self._counts: TableCounts | None = None

    def schema(self, sent: Any) -> Any:
        """Of the rows that were sent with their answers."""
        # Whatever is declared to have no nulls may have some all the same.
        returned = [field.with_nullable(True) for field in sent]
        fields = [*returned, *map(pa.field, self.names, self.kinds)]
        return pa.schema(fields, {**(sent.metadata or {}), VERSION: self.version})

    def make_room(self, taken: Collection[str]) -> None:
        """Rename the columns if the table has some of the same names."""
        self.renamed = count_renamings(self.names, taken)
        self.names = [*rename(self.names, self.renamed)]

    def warn_of(self, cells: Sequence[Any], rows: Array | None = None) -> None:
        """Count what is unusual about the features' cells in a chunk; `rows` is a mask."""
        self.warnings += self._unusual.count(cells, rows)

    def open_envelope(self) -> str:
        """JSON of what is said of the table as a whole, without its end."""
        names = [feature.name for feature in self.model.description.features]
        said: dict[str, Any] = {"model_version": self.version}
        said["warnings"] = name_warnings(names, self.warnings)
        if self.read_as:
            said["read_as"] = self.read_as
        return json.dumps(said, separators=(",", ":"))[:-1]

    def ask(self, X: Array, is_data: Array | None = None) -> list[Any]:
        """Arrays of n answers for X of shape (n, f), counted.

        A mask says for which of more rows X stands; the others get nulls and are not counted.
        """
        indices, probabilities = self._answer(X)
        counts = count_table(self._bins, X, indices, probabilities, len(self.model.classes))
        self._counts = self._counts.plus(counts) if self._counts else counts
        if is_data is not None:
            indices = _spread(indices, is_data, -1)
            probabilities = None if probabilities is None else _spread(probabilities, is_data, nan)
        return self.make_columns(indices, probabilities)

    def _answer(self, X: Array) -> tuple[Array, Array | None]:
        if len(X):
            return self.model.answer(X)
        return np.empty(0, int), np.empty((0, len(self.classes))) if self.classes else None

    def take_counts(self) -> TableCounts | None:
        """Return the counts since the last call."""
        taken, self._counts = self._counts, None
        return taken

    def make_columns(self, indices: Array, probabilities: Array | None) -> list[Any]:
        """Arrays of n answers; null for an index that is -1."""
        unanswered = indices < 0
        mask = unanswered if unanswered.any() else None
        encoded = pa.array(indices.astype(np.int32), mask=mask)
        labels = pa.DictionaryArray.from_arrays(encoded, self._labels)
        if probabilities is None:
            return [labels]
        by_class = np.ascontiguousarray(probabilities.T)
        return [labels, *(pa.array(column, mask=mask) for column in by_class)]


def _spread(found: Array, is_data: Array, blank: float) -> Array:
    """As many rows as the mask has, blank where that is False."""
    spread = np.full((len(is_data), *found.shape[1:]), blank, found.dtype)
    spread[is_data] = found
    return spread
