"""Turns instances into class probabilities."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from math import nan
from operator import le
from typing import Any

import numpy as np
import numpy.typing as npt

from binning import ModelBins
from counts import ClassCounts
from engines.engine import Engine, Probabilities
from engines.sharing import SharedCall
from errors import Fault, InvalidInstance, shorten
from identifiers import make_identifier
from instances import MAX_FAULTS, InstanceReader, describe_range, point_to
from schemas import (
    Boolean,
    Category,
    Description,
    Feature,
    FeatureWarning,
    Number,
    Prediction,
    Serving,
    SignatureState,
    Value,
)

Array = npt.NDArray[Any]

Answer = tuple[int, list[float] | None]  # class index, -1 where there is none, and probabilities
Unusual = tuple[str, str]  # what a value is, and what the model makes of it
MISSING = ("is missing", "; the model fills it in as it learned to")


class Model:
    """An estimator with what is known of it; only its counts change once it serves."""

    def __init__(self, estimator: Any, description: Description) -> None:
        self.description = description
        self.version = description.version
        self.classes = description.target.classes
        self.counts = ClassCounts(self.classes)
        self.bins = ModelBins(description.features)
        self.names = [feature.name for feature in description.features]
        self.signature: SignatureState = "unsigned"
        self.remarks: list[str] = []
        self.estimator = estimator
        self._reader = InstanceReader(description.features)
        self.instance_type = self._reader.type
        self.max_body_bytes = self._reader.max_bytes
        self.read_instance = self._reader.read
        self._has_text = any(isinstance(feature, Category) for feature in description.features)
        self._bounds = _find_bounds(description.features)
        self._checks = [(feature.name, _check(feature)) for feature in description.features]
        self._labels = list(estimator.classes_)
        self.has_probabilities = hasattr(estimator, "predict_proba")
        if not self.has_probabilities:
            self.remarks.append("It has no predict_proba: probabilities are null.")
        self.serving = Serving(name="scikit-learn", detail="It has not been compiled.")
        self._predict_one: Callable[[list[Value]], Probabilities] | None = None
        self._predict_many: Callable[[list[list[Value]]], list[Probabilities]] | None = None
        self._shared = SharedCall(self.answer_many)

    def serve_by(self, engine: Engine) -> None:
        """From now on; the estimator answers arrays, and what the engine leaves to it."""
        self.serving = Serving(name=engine.name, detail=engine.detail)
        self._predict_one = getattr(engine, "predict_one", None)
        self._predict_many = getattr(engine, "predict_many", None)

    async def predict(self, values: list[Value]) -> Prediction:
        """The answer to one instance, its values in the order of the features, counted.

        Raises InvalidInstance where the model has none.
        """
        if self._predict_one is None:
            answer = await self._shared.ask(values)
        elif (probabilities := self._predict_one(values)) is None:
            [answer] = self.answer_many([values])
        else:
            answer = (probabilities.index(max(probabilities)), probabilities)
        prediction = self.describe(values, answer)
        index, probabilities = answer
        self.counts.add(index, probabilities[index] if probabilities else None)
        return prediction

    def answer_many(self, instances: list[list[Value]]) -> list[Answer]:
        """The answers to a handful of instances, by as few calls as can be."""
        found = self._ask_engine(instances)
        left = [values for values, it in zip(instances, found, strict=True) if it is None]
        rest = iter(self._ask_estimator(left) if left else ())
        return [next(rest) if it is None else (it.index(max(it)), it) for it in found]

    def describe(self, values: list[Value], answer: Answer) -> Prediction:
        """The answer as it is sent; raises InvalidInstance where there is none."""
        index, probabilities = answer
        if index < 0:
            raise self._unanswered(values)
        named = probabilities and dict(zip(self.classes, probabilities, strict=True))
        return {
            "prediction": index,
            "prediction_class": self.classes[index],
            "probabilities": named or None,
            "model_version": self.version,
            "prediction_id": make_identifier(),
            "warnings": self._warn_of(values),
        }

    def _ask_engine(self, instances: list[list[Value]]) -> list[Probabilities]:
        if self._predict_many:
            return self._predict_many(instances)
        return [self._predict_one(it) if self._predict_one else None for it in instances]

    def _ask_estimator(self, instances: list[list[Value]]) -> list[Answer]:
        indices, probabilities = self.answer(self.to_array(instances))
        rows = [None] * len(instances) if probabilities is None else probabilities.tolist()
        return list(zip(indices.tolist(), rows, strict=True))

    def to_array(self, instances: Sequence[Sequence[Value]]) -> Array:
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
        indices, probabilities = zip(*map(self.answer, np.array_split(X, 2)), strict=True)
        has_none = any(matrix is None for matrix in probabilities)
        return np.concatenate(indices), None if has_none else np.concatenate(probabilities)

    def _ask(self, X: Array) -> tuple[Array, Array | None]:
        with np.errstate(all="ignore"):
            if not self.has_probabilities:
                labels = self.estimator.predict(X)
                return np.array([self._labels.index(label) for label in labels]), None
            probabilities: Array = self.estimator.predict_proba(X)
        answered = np.isfinite(probabilities).all(axis=1)
        return np.where(answered, probabilities.argmax(axis=1), -1), probabilities

    def _warn_of(self, values: list[Any]) -> list[FeatureWarning]:
        if self._bounds:
            low, high = self._bounds
            if all(map(le, low, values)) and all(map(le, values, high)):
                return []
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


def _find_bounds(features: Sequence[Feature]) -> tuple[list[float], list[float]] | None:
    """The training ranges, where all features are numbers that have one and are never missing."""
    bounds = [
        (it.min, it.max)
        for it in features
        if isinstance(it, Number) and not it.nullable and it.min is not None and it.max is not None
    ]
    if len(bounds) < len(features):
        return None
    return [low for low, _ in bounds], [high for _, high in bounds]


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
