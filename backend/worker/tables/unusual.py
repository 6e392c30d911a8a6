"""Counts the cells that an answer warns of, as an answer to one instance does."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.warnings import REASONS
from schemas import Category, Feature, Number
from worker.exchange import Array


class UnusualCells:
    """Counts cells of unknown categories, missing ones, and numbers outside the training range."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self._features = features
        self._known = [
            pa.array(feature.values, pa.string()) if isinstance(feature, Category) else None
            for feature in features
        ]
        self.none = np.zeros((len(features), len(REASONS)), np.int64)

    def count(self, cells: Iterable[Any], rows: Array | None = None) -> Array:
        """Rows by feature and reason, shape (f, 3), of the features' cells in a chunk.

        `rows` is a mask of those to count, by default all.
        """
        if rows is not None and not rows.all():
            cells = [column.filter(pa.array(rows)) for column in cells]
        counted = zip(cells, self._features, self._known, strict=True)
        return np.array([_count(*it) for it in counted], np.int64)


def _count(cells: Any, feature: Feature, known: Any) -> tuple[int, int, int]:
    if known is not None:
        found = pc.is_in(cells, known).true_count
        return len(cells) - cells.null_count - found, cells.null_count, 0
    if not isinstance(feature, Number):
        return 0, cells.null_count, 0
    numbers = cells.to_numpy(zero_copy_only=False)  # null is nan
    missing = int(np.count_nonzero(np.isnan(numbers)))
    if feature.min is None or feature.max is None:
        return 0, missing, 0
    is_outside = (numbers < feature.min) | (numbers > feature.max)
    return 0, missing, int(np.count_nonzero(is_outside))
