"""Answers with all trees at once, a step down each of them at a time."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from engines.engine import Probabilities
from engines.preparation import NotCompiled, Recipe
from engines.trees import LeafSum, Nodes
from schemas import EngineName

Array = npt.NDArray[Any]


class Walk:
    """For trees of too many leaves to give each a bit in every mask."""

    name: ClassVar[EngineName] = "trees"

    def __init__(self, nodes: Nodes, leaf_sum: LeafSum, precision: type, recipe: Recipe) -> None:
        if not recipe.is_exact:
            raise NotCompiled("Its trees are large, and what comes before them rounds its numbers.")
        self._nodes = nodes
        self._sum = leaf_sum
        self._precision = precision
        self._recipe = recipe
        self.detail = f"{leaf_sum.trees} trees, a step down each at a time"

    def predict_many(self, instances: Sequence[list[Any]]) -> list[Probabilities]:
        """Probabilities of each, or None where the estimator itself should be asked."""
        rows = [self._recipe.follow(values) for values in instances]
        known = [row for row in rows if row is not None]
        with np.errstate(over="ignore"):
            X: Array = np.array(known, dtype=self._precision).reshape(len(known), -1)
        answers = iter(self._answer(X))
        return [None if row is None else next(answers) for row in rows]

    def _answer(self, X: Array) -> list[Probabilities]:
        nodes = self._nodes
        places = np.tile(nodes.roots, (len(X), 1))
        offsets = np.arange(len(X))[:, np.newaxis] * X.shape[1]
        flat = X.astype(np.float64).ravel()
        while True:
            values = flat.take(offsets + nodes.columns.take(places))
            goes_left = values <= nodes.thresholds.take(places)
            below = np.where(goes_left, nodes.left.take(places), nodes.right.take(places))
            if (below == places).all():
                break
            places = below
        is_finite = np.asarray(np.isfinite(X).all(axis=1))
        return [
            self._sum.finish(nodes.values.take(leaves, axis=0)) if finite else None
            for leaves, finite in zip(places, is_finite.tolist(), strict=True)
        ]
