"""Counts the rows a model has answered, by feature, by class and by how sure it was."""

from bisect import bisect_left
from operator import add
from threading import Lock
from typing import NamedTuple

import numpy as np

from features.binning import Array, ModelBins

COUNTED = ("features", "classes", "probabilities")  # what rows are counted by

# Upper bounds, of the predicted class's probability.
PROBABILITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class TableCounts(NamedTuple):
    """Counts of some rows: features one after the other, classes, probabilities and their sum."""

    rows: int
    features: Array
    classes: Array
    probabilities: Array
    total: float

    def plus(self, other: "TableCounts") -> "TableCounts":
        return TableCounts(*map(add, self, other))


def count_table(
    bins: ModelBins, X: Array, indices: Array, probabilities: Array | None, classes: int
) -> TableCounts:
    """X of shape (n, f) with its answers, of shapes (n,) and (n, k); -1 stands for no answer."""
    answered = indices >= 0
    found = np.bincount(indices[answered], minlength=classes)
    highest = np.empty(0) if probabilities is None else probabilities[answered, indices[answered]]
    places = np.searchsorted(PROBABILITIES, highest)
    by_probability = np.bincount(places, minlength=len(PROBABILITIES) + 1)
    return TableCounts(len(X), bins.count(X.T), found, by_probability, float(highest.sum()))


class ClassCounts:
    """Of one model, from when it was loaded."""

    def __init__(self, classes: list[str], empty: TableCounts) -> None:
        # No update is lost: only the event loop's thread counts single instances, which therefore
        # need no lock; tables, which other threads score, are counted apart and behind one.
        self._classes = classes
        self._singles = [0] * len(classes)
        self._single_probabilities = [0] * (len(PROBABILITIES) + 1)
        self._single_sum = 0.0
        self._tables = empty
        self._lock = Lock()

    def add(self, index: int, probability: float | None) -> None:
        """One instance, on the event loop; the probability is that of its class."""
        self._singles[index] += 1
        if probability is not None:
            self._single_probabilities[bisect_left(PROBABILITIES, probability)] += 1
            self._single_sum += probability

    def add_table(self, counts: TableCounts) -> None:
        """Any thread may call this."""
        with self._lock:
            self._tables = self._tables.plus(counts)

    def by_class(self) -> dict[str, int]:
        counts = map(add, self._singles, self._tables.classes.tolist())
        return dict(zip(self._classes, counts, strict=True))

    def by_probability(self) -> tuple[list[int], float]:
        """How many up to each bound, and how many beyond the last; and the sum of all."""
        tables = self._tables
        counts = list(map(add, self._single_probabilities, tables.probabilities.tolist()))
        return counts, self._single_sum + tables.total
