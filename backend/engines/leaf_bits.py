"""Answers with all trees at once: a bit for each leaf, and a mask for each interval of a feature.

A feature's thresholds in all trees cut its values into intervals. The mask of an interval has the
bits of the leaves that such a value can reach; the masks of all features have one bit of each tree
in common. (QuickScorer, Lucchese et al., SIGIR 2015, with masks for intervals in place of nodes.)
"""

from bisect import bisect_left
from typing import Any, NamedTuple

import numpy as np

from engines.engine import Engine, Probabilities
from engines.lines import Array, Special, find
from engines.trees import LeafSum
from schemas import EngineName


class Masks(NamedTuple):
    """One feature's; a mask of no bits where the estimator itself should be asked."""

    thresholds: list[float] | None  # none of text
    numbers: list[int]  # of the intervals, one more than thresholds
    special: Special  # masks


class LeafBits(Engine):
    """Masks of every feature, and what the reached leaves sum up to."""

    name: EngineName = "trees"

    def __init__(
        self, features: list[Masks], everywhere: int, values: Array, leaf_sum: LeafSum
    ) -> None:
        """`everywhere` is a mask that holds for each row; `values` of leaves, shape (leaves, k)."""
        self.features = features
        self._everywhere = everywhere
        self._values = values
        self._bytes = len(values) // 8 + 1
        self._sum = leaf_sum
        self._pure = _find_pure(values) if leaf_sum.start is None else None
        self.detail = f"{leaf_sum.trees} trees as the bits of {len(values)} leaves"

    def predict_one(self, values: list[Any]) -> Probabilities:
        bits = self._everywhere
        for (thresholds, numbers, special), value in zip(self.features, values, strict=True):
            if value is not None and thresholds is not None:
                bits &= numbers[bisect_left(thresholds, value)]
            elif (mask := find(special, value)) is None:
                return None
            else:
                bits &= mask
        if bits.bit_count() != self._sum.trees:
            return None
        if self._pure:
            return [(bits & mask).bit_count() / self._sum.trees for mask in self._pure]
        ones = np.frombuffer(bits.to_bytes(self._bytes, "little"), np.uint8)
        reached = np.unpackbits(ones, bitorder="little").nonzero()[0]
        return self._sum.finish(self._values.take(reached, axis=0))


def _find_pure(values: Array) -> list[int] | None:
    """For each class the bits of its leaves, where each leaf has one class only.

    Then the sum over the trees is a count, which is as exact in whatever order.
    """
    if not ((values == 0) | (values == 1)).all():
        return None
    return [to_mask(np.packbits(column, bitorder="little")) for column in values.T == 1]


def to_mask(packed: Array) -> int:
    return int.from_bytes(packed.tobytes(), "little")
