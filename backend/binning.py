"""Counts values in the bins of a manifest's histograms."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas import Boolean, Category, Feature, Number

Array = npt.NDArray[Any]

BELOW, ABOVE, MISSING = -3, -2, -1  # where a feature's counts end; BELOW also counts the unknown
EXTRA = 3


class FeatureBins:
    """Counts one feature's values as its manifest's histogram does, and those that fit no bin."""

    def __init__(self, feature: Feature) -> None:
        self._feature = feature
        self._edges = _edges(feature)
        self._places = _places(feature)
        self.bins = max(len(self._edges) - 1, 0) if self._edges.size else len(self._places)

    def count(self, column: Sequence[Any] | Array) -> Array:
        """Shape (bins + 3,), of n values: then those below and above, and the missing ones."""
        if isinstance(self._feature, Category):
            return self._count_values(column)
        values = np.asarray(column, dtype=np.float64)
        present = values[~np.isnan(values)]
        counts = np.zeros(self.bins + EXTRA, dtype=np.int64)
        counts[MISSING] = len(values) - len(present)
        if isinstance(self._feature, Boolean):
            counts[:2] = np.bincount(present.astype(np.intp), minlength=2)
        elif self.bins:
            self._count_numbers(present, counts)
        return counts

    def _count_numbers(self, present: Array, counts: Array) -> None:
        edges = self._edges
        counts[: self.bins] = np.histogram(present, edges)[0]
        counts[BELOW] = np.count_nonzero(present < edges[0])
        counts[ABOVE] = np.count_nonzero(present > edges[-1])

    def _count_values(self, column: Sequence[Any] | Array) -> Array:
        counts = np.zeros(self.bins + EXTRA, dtype=np.int64)
        for value, count in Counter(column).items():
            is_missing = value is None or value != value  # noqa: PLR0124  # NaN
            counts[MISSING if is_missing else self._places.get(value, BELOW)] += count
        return counts


class ModelBins:
    """Counts the values of a model's features."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self._bins = [FeatureBins(feature) for feature in features]

    def count(self, X: Array) -> list[Array]:
        """For each feature its counts, of X of shape (n, f)."""
        return [bins.count(column) for bins, column in zip(self._bins, X.T, strict=True)]

    def count_instances(self, instances: Sequence[Sequence[Any]]) -> list[Array]:
        """The same of instances as they are read, with None for what is missing."""
        columns = zip(*instances, strict=True)
        return [bins.count(column) for bins, column in zip(self._bins, columns, strict=True)]

    def zeros(self) -> list[Array]:
        return [np.zeros(bins.bins + EXTRA, dtype=np.int64) for bins in self._bins]


def _edges(feature: Feature) -> Array:
    if isinstance(feature, Number) and feature.histogram:
        edges = np.asarray(feature.histogram.edges, dtype=np.float64)
        if len(edges) > 1 and (np.diff(edges) > 0).all():
            return edges
    return np.empty(0)


def _places(feature: Feature) -> dict[str, int]:
    if isinstance(feature, Category):
        return {value: place for place, value in enumerate(feature.values)}
    return {"false": 0, "true": 1} if isinstance(feature, Boolean) else {}
