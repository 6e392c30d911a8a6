"""Counts the rows of a table by feature, class and probability."""

from typing import NamedTuple

import numpy as np

from binning import Array, ModelBins
from counts import count_answers


class TableCounts(NamedTuple):
    """Counts of some rows: features one after the other, classes, probabilities and their sum."""

    rows: int
    features: Array
    classes: Array
    probabilities: Array
    total: float

    def plus(self, other: "TableCounts") -> "TableCounts":
        arrays = (self.features + other.features, self.classes + other.classes)
        probabilities = self.probabilities + other.probabilities
        return TableCounts(self.rows + other.rows, *arrays, probabilities, self.total + other.total)


def count_table(
    bins: ModelBins, X: Array, indices: Array, probabilities: Array | None, classes: int
) -> TableCounts:
    """X of shape (n, f) with its answers, of shapes (n,) and (n, k)."""
    features = np.concatenate(bins.count(X))
    return TableCounts(len(X), features, *count_answers(indices, probabilities, classes))
