"""Answers with layers of sums of products, in plain Python floats if there is one small layer."""

from collections.abc import Callable, Sequence
from math import exp
from operator import add, mul
from typing import Any

import numpy as np

from engines.engine import Engine, Probabilities
from engines.lines import Array, Layer, Lines, find_specials
from schemas import EngineName

Scores = list[float]

HIGHEST_POWER = 700  # of e, beyond which it overflows
# Classes this close are left to the estimator itself, which rounds otherwise.
NEAR = 1e-9
NEAR_IN_LAYERS = 2e-6
LARGEST_SCORE = 1e9  # a larger one is rounded to more than a millionth

# As in scikit-learn's neural_network/_base.py; squares are for Gaussian densities.
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda scores: scores,
    "logistic": lambda scores: 0.5 + 0.5 * np.tanh(0.5 * scores),  # which never overflows
    "relu": lambda scores: np.maximum(scores, 0),
    "square": np.square,
    "tanh": np.tanh,
}


class Linear(Engine):
    """A score for each class, or one for the second of two, in plain Python floats."""

    name: EngineName = "linear"

    def __init__(self, lines: Lines) -> None:
        self._weights, self._intercept = (array.tolist() for array in lines.layer)
        self._lines = lines
        self.detail = f"{lines.layer[0].size} products in double precision"

    def predict_one(self, values: list[Any]) -> Probabilities:
        try:
            scores = self._score(values, self._lines.texts)
        except TypeError:  # a number is missing
            scores = self._score(values, find_specials(values))
        return scores and _make_probabilities(scores, NEAR)

    def _score(self, values: list[Any], places: Sequence[int]) -> Scores | None:
        if (found := self._lines.look_up(values, places)) is None:
            return None
        numbers, rows = found
        starts = self._intercept
        for row in rows:
            starts = list(map(add, starts, row.tolist()))
        return [
            start + sum(map(mul, weights, numbers))
            for start, weights in zip(starts, self._weights, strict=True)
        ]


class Layers(Engine):
    """Scores that go through an activation, and are the numbers of the next layer."""

    def __init__(self, lines: Lines, further: Sequence[Layer], activation: str) -> None:
        self._lines = lines
        self._further = further
        self._activate = ACTIVATIONS[activation]
        self.name: EngineName = "layers" if further else "linear"
        products = sum(weights.size for weights, _ in (lines.layer, *further))
        self.detail = f"{products} products in {1 + len(further)} layers in double precision"

    def predict_one(self, values: list[Any]) -> Probabilities:
        with np.errstate(all="ignore"):
            if (outputs := self._lines.follow(values)) is None:
                return None
            for weights, intercept in self._further:
                outputs = weights.dot(self._activate(outputs)) + intercept
        scores: Scores = outputs.tolist()
        is_exact = abs(max(scores)) < LARGEST_SCORE
        return _make_probabilities(scores, NEAR_IN_LAYERS) if is_exact else None


def _make_probabilities(scores: Scores, near: float) -> Probabilities:
    return _softmax(scores, near) if len(scores) > 1 else _sigmoid(scores[0], near)


def _sigmoid(score: float, near: float) -> Probabilities:
    if not near < abs(score) < HIGHEST_POWER:  # nan is not between them either
        return None
    second = 1 / (1 + exp(-score))
    return [1 - second, second]


def _softmax(scores: Scores, near: float) -> Probabilities:
    highest = max(scores)
    powers = [exp(score - highest) for score in scores]
    total = sum(powers)
    # The highest is 1, so unless the others sum up to 1 there is none as high.
    is_clear = total < 2 - near or (total <= len(powers) and sorted(powers)[-2] < 1 - near)
    return [power / total for power in powers] if is_clear else None  # as above
