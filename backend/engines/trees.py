"""Answers with the trees of an ensemble, a step down all of them at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.engine import Engine, Probabilities
from engines.lines import Array, Lines
from schemas import EngineName


@dataclass
class Nodes:
    """The m nodes of all trees; a row goes left where its column is at most the threshold.

    Leaves are their own children. Of `values`, shape (m, k), only those of leaves count.
    """

    columns: Array
    thresholds: Array
    left: Array
    right: Array
    values: Array
    roots: Array

    @property
    def is_leaf(self) -> npt.NDArray[np.bool_]:
        return np.equal(self.left, np.arange(len(self.left)))


@dataclass
class LeafSum:
    """Makes probabilities of the leaves' values, summed over the trees.

    A mean of probabilities, or scores that begin at `start`, shape (k,), and go through softmax.
    """

    start: Array | None
    trees: int

    def finish(self, values: Array) -> list[float]:
        """Probabilities, shape (k,), of values of shape (trees, k), in the trees' order."""
        # Down the rows NumPy adds one by one, as scikit-learn does: equal to the last bit.
        total = np.add.reduce(values, axis=0)
        if self.start is None:
            return list((total / self.trees).tolist())
        total += self.start
        powers = np.exp(total - total.max())
        return list((powers / powers.sum()).tolist())


MAX_STEPS = 1_000_000  # of one walk: 0.1 s
STEP = 100  # trees that would take as long as the rest of a step


class Walk(Engine):
    """For trees of too many leaves to give each a bit in every mask."""

    name: EngineName = "trees"

    def __init__(self, nodes: Nodes, leaf_sum: LeafSum, lines: Lines, precision: type) -> None:
        """`precision` is that which rows are compared in."""
        self._nodes = nodes
        self._sum = leaf_sum
        self._lines = lines
        self._precision = precision
        self.detail = f"{leaf_sum.trees} trees, a step down each at a time"

    def predict_many(self, instances: Sequence[list[Any]]) -> list[Probabilities]:
        nodes, size = self._nodes, len(self._lines.layer[1])
        refused = np.full(size, np.nan)
        with np.errstate(all="ignore"):
            rows = [self._lines.follow(values) for values in instances]
            known = [refused if row is None else row for row in rows]
            X = np.reshape(known, (len(known), size)).astype(self._precision).astype(np.float64)
        places = np.tile(nodes.roots, (len(X), 1))
        offsets = np.arange(len(X))[:, np.newaxis] * size
        for _ in range(MAX_STEPS // (STEP + self._sum.trees)):
            values = X.take(offsets + nodes.columns.take(places))
            goes_left = values <= nodes.thresholds.take(places)
            below = np.where(goes_left, nodes.left.take(places), nodes.right.take(places))
            if (below == places).all():
                break
            places = below
        else:
            return [None] * len(X)
        is_finite = np.asarray(np.isfinite(X).all(axis=1)).tolist()
        return [
            self._sum.finish(nodes.values.take(leaves, axis=0)) if finite else None
            for leaves, finite in zip(places, is_finite, strict=True)
        ]
