"""Turns instances into class probabilities."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import nan
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from errors import Fault, InvalidInstance, shorten
from instances import MAX_FAULTS, InstanceReader, describe_range, point_to
from schemas import (
    Boolean,
    Category,
    Description,
    Feature,
    FeatureWarning,
    Prediction,
    SignatureState,
    Value,
)

Array = npt.NDArray[Any]

Unusual = tuple[str, str]  # what a value is, and what the model makes of it
MISSING = ("is missing", "; the model fills it in as it learned to")


class Model:
    """An estimator with what is known of it; never changes once it serves."""

    def __init__(self, estimator: Any, description: Description) -> None:
        self.description = description
        self.version = description.version
        self.classes = description.target.classes
        self.names = [feature.name for feature in description.features]
        self.signature: SignatureState = "none"
        self.remarks: list[str] = []
        self._reader = InstanceReader(description.features)
        self.instance_type = self._reader.type
        self.max_body_bytes = self._reader.max_bytes
        self.read_instance = self._reader.read
        self._has_text = any(isinstance(feature, Category) for feature in description.features)
        self._checks = [(feature.name, _check(feature)) for feature in description.features]
        self._estimator = estimator
        self._labels = list(estimator.classes_)
        if not hasattr(estimator, "predict_proba"):
            self.remarks.append("It has no predict_proba: probabilities are null.")

    def predict(self, values: list[Value]) -> Prediction:
        """The answer to one instance, its values in the order of the features."""
        [prediction], matrix = self.answer(self.to_array([values]))
        if prediction < 0:
            raise self._unanswered(values)
        probabilities = None
        if matrix is not None:
            probabilities = dict(zip(self.classes, matrix[0].tolist(), strict=True))
        return Prediction(
            prediction=int(prediction),
            prediction_class=self.classes[prediction],
            probabilities=probabilities,
            model_version=self.version,
            prediction_id=str(uuid4()),
            warnings=self._warn_of(values),
        )

    def to_array(self, instances: list[list[Value]]) -> Array:
        """Shape (n, f), as pipelines are fitted: booleans are 0 and 1, and what is missing nan."""
        if self._has_text:
            return np.array([list(map(_fit, values)) for values in instances], dtype=object)
        return np.array(instances, dtype=np.float64)  # which makes None nan

    def answer(self, X: Array) -> tuple[Array, Array | None]:
        """Class indices, shape (n,), and probabilities, shape (n, k), for X of shape (n, f).

        Probabilities are None where the estimator has none. A row without an answer, because its
        finite values overflow inside the model or because it takes no missing or unknown ones, has
        the index -1 and nan for probabilities.
        """
        with suppress(ValueError):  # scikit-learn's, of one row, for all of them
            return self._ask(X)
        if len(X) == 1:
            return np.array([-1]), np.full((1, len(self.classes)), nan)
        indices, probabilities = zip(*(self.answer(row) for row in X[:, np.newaxis]), strict=True)
        has_none = any(matrix is None for matrix in probabilities)
        return np.concatenate(indices), None if has_none else np.concatenate(probabilities)

    def _ask(self, X: Array) -> tuple[Array, Array | None]:
        with np.errstate(all="ignore"):
            if not hasattr(self._estimator, "predict_proba"):
                labels = self._estimator.predict(X)
                return np.array([self._labels.index(label) for label in labels]), None
            probabilities: Array = self._estimator.predict_proba(X)
        answered = np.isfinite(probabilities).all(axis=1)
        return np.where(answered, probabilities.argmax(axis=1), -1), probabilities

    def _warn_of(self, values: list[Value]) -> list[FeatureWarning]:
        return [
            FeatureWarning(feature=name, detail=f"{name} {found}{consequence}.")
            for name, (found, consequence) in self._find_unusual(values)
        ]

    def _unanswered(self, values: list[Value]) -> InvalidInstance:
        """What is unusual about the values may be why there is no answer."""
        faults = [Fault("#", "The model has no answer to values this large or this unusual.")] + [
            Fault(point_to(name), f"{name} {found}.")
            for name, (found, _) in self._find_unusual(values)
        ]
        return InvalidInstance(faults[:MAX_FAULTS], more=len(faults[MAX_FAULTS:]))

    def _find_unusual(self, values: list[Value]) -> list[tuple[str, Unusual]]:
        return [
            (name, unusual)
            for (name, check), value in zip(self._checks, values, strict=True)
            if (unusual := check(value))
        ]


def _fit(value: Value) -> float | str:
    """As a column of objects holds it, where NumPy converts nothing."""
    if value is None:
        return nan
    return value if isinstance(value, str) else float(value)


def _check(feature: Feature) -> Callable[[Any], Unusual | None]:
    """A function from a value of the feature to what is unusual about it."""
    if isinstance(feature, Category):
        return partial(_look_up, frozenset(feature.values))
    if isinstance(feature, Boolean) or feature.min is None or feature.max is None:
        return lambda value: MISSING if value is None else None
    said = f"is outside the training range {describe_range(feature)}"
    return partial(_compare, feature.min, feature.max, said)


def _look_up(known: frozenset[str], value: str | None) -> Unusual | None:
    if value is None:
        return MISSING
    if value in known:
        return None
    return f'"{shorten(value)}" is not a value the model knows', "; it is treated as a rare one"


def _compare(low: float, high: float, said: str, value: float | None) -> Unusual | None:
    if value is None:
        return MISSING
    return None if low <= value <= high else (f"{value:.15g} {said}", "")
