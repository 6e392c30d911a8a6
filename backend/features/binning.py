"""Counts values in the bins of a manifest's histograms."""

from collections import Counter
from collections.abc import Iterable, Sequence
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
        values = feature.values if isinstance(feature, Category) else []
        self._places = {value: place for place, value in enumerate(values)}
        self._edges = _find_edges(feature)
        self.bins = len(self._places) or max(len(self._edges) - 1, 0)

    def count(self, column: Sequence[Any] | Array) -> Array:
        """Shape (bins + 3,), of n values: then those below and above, and the missing ones."""
        counts = np.zeros(self.bins + EXTRA, dtype=np.int64)
        if self._places:
            for value, count in Counter(column).items():
                is_missing = value is None or value != value  # noqa: PLR0124  # NaN
                counts[MISSING if is_missing else self._places.get(value, BELOW)] += count
            return counts
        values = np.asarray(column, dtype=np.float64)
        present = values[~np.isnan(values)]
        counts[MISSING] = len(values) - len(present)
        if self.bins:
            counts[:-EXTRA] = np.histogram(present, self._edges)[0]
            counts[BELOW] = np.count_nonzero(present < self._edges[0])
            counts[ABOVE] = np.count_nonzero(present > self._edges[-1])
        return counts


class ModelBins:
    """Counts the values of a model's features."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self._bins = [FeatureBins(feature) for feature in features]

    def count(self, columns: Iterable[Sequence[Any] | Array]) -> Array:
        """The counts of all features, one after the other, of a column for each."""
        pairs = zip(self._bins, columns, strict=True)
        return np.concatenate([bins.count(column) for bins, column in pairs])

    def split(self, counts: Array) -> list[Array]:
        """The counts of each feature."""
        return np.split(counts, np.cumsum([feature.bins + EXTRA for feature in self._bins])[:-1])


def _find_edges(feature: Feature) -> Array:
    """Empty if they cannot be used."""
    if isinstance(feature, Boolean):
        return np.array([0.0, 0.5, 1.0])
    histogram = feature.histogram if isinstance(feature, Number) else None
    edges = np.array(histogram.edges if histogram else ())
    if len(edges) <= 1 or (np.diff(edges) <= 0).any():
        return np.empty(0)
    return edges
