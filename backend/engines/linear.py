"""Answers with a linear model written out in plain Python floats."""

from math import exp
from operator import add, mul
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from engines.engine import Probabilities
from engines.preparation import NotCompiled, Prepared, Recipe
from schemas import EngineName

Array = npt.NDArray[Any]
Scores = list[float]

MAX_PRODUCTS = 5_000  # a product takes 25 ns
HIGHEST_POWER = 700  # of e, beyond which it overflows
NEAR = 1e-9  # classes this close are left to the estimator itself, which rounds otherwise


class Linear:
    """A score for each class, or one for the second of two: a line over each feature."""

    name: ClassVar[EngineName] = "linear"

    def __init__(self, weights: Array, intercept: Array, shifts: list["Shifts | None"]) -> None:
        """Weights of shape (s, f) and intercepts of shape (s,) give s scores."""
        self._weights: list[Scores] = weights.tolist()
        self._intercept: Scores = intercept.tolist()
        self._shifts = [(i, it) for i, it in enumerate(shifts) if it is not None]
        self.detail = f"{weights.size} products in double precision"

    def predict_one(self, values: list[Any]) -> Probabilities:
        """Probabilities, or None where the estimator itself should be asked."""
        numbers, starts = self._look_up(values) if self._shifts else (values, self._intercept)
        if starts is None:
            return None
        scores = [
            start + sum(map(mul, weights, numbers))
            for start, weights in zip(starts, self._weights, strict=True)
        ]
        return _softmax(scores) if len(scores) > 1 else _sigmoid(scores[0])

    def _look_up(self, values: list[Any]) -> tuple[list[Any], Scores | None]:
        """The values with 0 for what is no number, and where the scores start because of it."""
        numbers, starts = values.copy(), self._intercept
        for index, shifts in self._shifts:
            value = values[index]
            if value is None or isinstance(value, str):
                numbers[index], shift = 0.0, shifts.find(value)
                if shift is None:
                    return numbers, None
                starts = list(map(add, starts, shift))
        return numbers, starts


class Shifts:
    """What values of a feature that are no numbers add to the scores."""

    def __init__(self, prepared: Prepared, start: Array, coefficients: Array) -> None:
        def shift(row: Array | None) -> Scores | None:
            return None if row is None else (coefficients @ (row - start)).tolist()

        self._rows = {value: shift(row) for value, row in prepared.rows.items()}
        self._unknown = shift(prepared.unknown)
        self._missing = shift(prepared.missing)

    def find(self, value: str | None) -> Scores | None:
        """None where the steps take no such value."""
        return self._missing if value is None else self._rows.get(value, self._unknown)


def compile_linear(classifier: Any, recipe: Recipe) -> Linear:
    """Folds what comes before the classifier into its weights."""
    coefficients = np.asarray(classifier.coef_, dtype=np.float64)
    if coefficients.shape[0] * len(recipe.features) > MAX_PRODUCTS:
        raise NotCompiled("It has more weights than are worth writing out.")
    weights = np.zeros((len(coefficients), len(recipe.features)))
    shifts: list[Shifts | None] = []
    for i, feature in enumerate(recipe.features):
        own, start = coefficients[:, feature.columns], recipe.start[feature.columns]
        weights[:, i] = own @ feature.slopes
        shifts.append(None if feature.is_plain else Shifts(feature, start, own))
    return Linear(weights, coefficients @ recipe.start + classifier.intercept_, shifts)


def _sigmoid(score: float) -> Probabilities:
    if not NEAR < abs(score) < HIGHEST_POWER:  # nan is not between them either
        return None
    second = 1 / (1 + exp(-score))
    return [1 - second, second]


def _softmax(scores: Scores) -> Probabilities:
    highest = max(scores)
    powers = [exp(score - highest) for score in scores]
    total = sum(powers)
    # The highest is 1, so unless the others sum up to 1 there is none as high.
    is_clear = total < 2 - NEAR or (total <= len(powers) and sorted(powers)[-2] < 1 - NEAR)
    return [power / total for power in powers] if is_clear else None  # as above
