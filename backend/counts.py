"""Counts the rows a model has answered, by class and by how sure it was."""

from bisect import bisect_left
from operator import add
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

# Upper bounds, of the predicted class's probability.
PROBABILITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def count_answers(
    indices: Array, probabilities: Array | None, classes: int
) -> tuple[Array, Array, float]:
    """Rows by class, shape (k,); by probability of their class; and the sum of these.

    Indices have shape (n,), probabilities (n, k). A row with the index -1 has no answer.
    """
    answered = indices >= 0
    found = np.bincount(indices[answered], minlength=classes)
    highest = np.empty(0) if probabilities is None else probabilities[answered, indices[answered]]
    places = np.searchsorted(PROBABILITIES, highest)
    bins = np.bincount(places, minlength=len(PROBABILITIES) + 1)
    return found, bins, float(highest.sum())


class ClassCounts:
    """Of one model, from when it was loaded."""

    def __init__(self, classes: list[str]) -> None:
        # No update is lost: only the event loop's thread counts single instances, which therefore
        # need no lock; tables, which other threads score, are counted apart and behind one.
        self._classes = classes
        self._singles = [0] * len(classes)
        self._single_probabilities = [0] * (len(PROBABILITIES) + 1)
        self._single_sum = 0.0
        self._tables = np.zeros(len(classes), dtype=np.int64)
        self._table_probabilities = np.zeros(len(PROBABILITIES) + 1, dtype=np.int64)
        self._table_sum = 0.0
        self._lock = Lock()

    def add(self, index: int, probability: float | None) -> None:
        """One instance, on the event loop; the probability is that of its class."""
        self._singles[index] += 1
        if probability is not None:
            self._single_probabilities[bisect_left(PROBABILITIES, probability)] += 1
            self._single_sum += probability

    def add_table(self, classes: Array, probabilities: Array, total: float) -> None:
        """Add what `count_answers` has counted, from any thread."""
        with self._lock:
            self._tables += classes
            self._table_probabilities += probabilities
            self._table_sum += total

    def by_class(self) -> dict[str, int]:
        with self._lock:
            tables = self._tables.tolist()
        return dict(zip(self._classes, map(add, self._singles, tables), strict=True))

    def by_probability(self) -> tuple[list[int], float]:
        """How many up to each bound, and how many beyond the last; and the sum of all."""
        with self._lock:
            tables, total = self._table_probabilities.tolist(), self._table_sum
        counts = list(map(add, self._single_probabilities, tables))
        return counts, self._single_sum + total
