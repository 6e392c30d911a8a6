"""Asks a scikit-learn estimator for classes and probabilities."""

from collections.abc import Sequence
from contextlib import suppress
from math import nan
from typing import Any

import numpy as np

from schemas import Description, Value
from worker.exchange import Array
from worker.rows import has_text, to_array


class OpenedModel:
    """An estimator that was unpickled, with what is known of it."""

    def __init__(self, estimator: Any, description: Description) -> None:
        self.estimator = estimator
        self.description = description
        self.classes = description.target.classes
        self.has_probabilities = hasattr(estimator, "predict_proba")
        self._labels = list(estimator.classes_)
        self._has_text = has_text(description.features)

    def to_array(self, instances: Sequence[Sequence[Value]]) -> Array:
        return to_array(instances, self._has_text)

    def answer(self, X: Array) -> tuple[Array, Array | None]:
        """Class indices, shape (n,), and probabilities, shape (n, k), for X of shape (n, f).

        Probabilities are None where the estimator has none. A row without an answer, because its
        finite values overflow inside the model or because it takes no missing or unknown ones, has
        the index -1 and nan for probabilities.
        """
        with suppress(ValueError):  # scikit-learn's, of one row, for all of them
            return self.ask(X)
        if len(X) == 1:
            return np.array([-1]), np.full((1, len(self.classes)), nan)
        indices, probabilities = zip(*map(self.answer, np.array_split(X, 2)), strict=True)
        has_none = any(matrix is None for matrix in probabilities)
        return np.concatenate(indices), None if has_none else np.concatenate(probabilities)

    def ask(self, X: Array) -> tuple[Array, Array | None]:
        """As `answer`; raises what the estimator raises."""
        with np.errstate(all="ignore"):
            if not self.has_probabilities:
                labels = self.estimator.predict(X)
                return np.array([self._labels.index(label) for label in labels]), None
            probabilities: Array = self.estimator.predict_proba(X)
        indices = probabilities.argmax(axis=1)
        is_finite = np.isfinite(probabilities)
        if not is_finite.all():  # asked row by row this takes longer than all the rest
            indices = np.where(is_finite.all(axis=1), indices, -1)
        return indices, probabilities
