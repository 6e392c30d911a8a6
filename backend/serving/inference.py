"""Turns instances into class probabilities."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from operator import le
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from engines.engine import Engine, Probabilities
from errors import Fault, InvalidInstance, shorten
from features.binning import ModelBins
from features.counts import ClassCounts, count_table
from features.instances import MAX_FAULTS, InstanceReader, describe_range, point_to
from instrumentation.identifiers import make_identifier
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
from serving.sharing import SharedCall
from worker.model_worker import ModelWorker
from worker.rows import has_text, to_array

Array = npt.NDArray[Any]
Result = TypeVar("Result")
Ask = Callable[[Array], tuple[Array, Array | None]]

Answer = tuple[int, list[float] | None]  # class index, -1 where there is none, and probabilities
Unusual = tuple[str, str]  # what a value is, and what the model makes of it
MISSING = ("is missing", "; the model fills it in as it learned to")
MISSING_RARE = ("is missing", "; it is treated as a rare one")  # where training had none missing


class LeftToWorker(Exception):
    """The compiled form has no answer of its own to a row."""


class Model:
    """A published version: its description, its engine and its worker; only its counts change."""

    def __init__(self, description: Description, worker: ModelWorker) -> None:
        self.description = description
        self.version = description.version
        self.classes = description.target.classes
        self.bins = ModelBins(description.features)
        none, no_rows = np.empty(0, np.intp), np.empty((0, len(description.features)))
        self.empty_counts = count_table(self.bins, no_rows, none, None, len(self.classes))
        self.counts = ClassCounts(self.classes, self.empty_counts)
        self.names = [feature.name for feature in description.features]
        self.signature: SignatureState = "unsigned"
        self.remarks: list[str] = []
        self.worker = worker
        reader = InstanceReader(description.features)
        self.instance_type = reader.type
        self.max_body_bytes = reader.max_bytes
        self.read_instance = reader.read
        self._has_text = has_text(description.features)
        self._bounds = _find_bounds(description.features)
        self._checks = [(feature.name, _check(feature)) for feature in description.features]
        self.has_probabilities = worker.has_probabilities
        if not self.has_probabilities:
            self.remarks.append("It has no predict_proba: probabilities are null.")
        self.serve_by(Engine())
        self._shared = SharedCall[list[Value], Answer]()
        self._thread = ThreadPoolExecutor(1, "model")

    def serve_by(self, engine: Engine) -> None:
        """Answer rows by the engine, and ask the worker for arrays and what the engine leaves."""
        self.serving = Serving(name=engine.name, detail=engine.detail)
        self._predict_one, self._predict_many = engine.predict_one, engine.predict_many

    async def predict(self, values: list[Value]) -> Prediction:
        """The answer to one instance, its values in the order of the features, counted.

        Raises InvalidInstance if the model has none, and what the worker does.
        """
        if (probabilities := self._predict_one(values)) is None:
            answer = await self._shared.ask(values, self._answer_soon)
        else:
            answer = (probabilities.index(max(probabilities)), probabilities)
        prediction = self.describe(values, answer)
        index, probabilities = answer
        self.counts.add(index, probabilities[index] if probabilities else None)
        return prediction

    async def run(self, function: Callable[[], Result]) -> Result:
        """Call it in this model's own thread, so that nobody else waits for its worker."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def answer_many(self, instances: list[list[Value]]) -> list[Answer]:
        """The answers to a handful of instances, by as few calls as can be."""
        found = self._predict_many(instances)
        left = _list_left(instances, found)
        return _fill(found, self.answer(self.to_array(left)) if left else None)

    async def _answer_soon(self, instances: list[list[Value]]) -> list[Answer]:
        found = self._predict_many(instances)
        left = _list_left(instances, found)
        return _fill(found, await self.worker.answer_soon(self.to_array(left)) if left else None)

    def to_array(self, instances: Sequence[Sequence[Value]]) -> Array:
        """Shape (n, f)."""
        return to_array(instances, self._has_text)

    def answer(self, X: Array) -> tuple[Array, Array | None]:
        """Class indices, shape (n,), -1 for a row without an answer; and probabilities, (n, k)."""
        return self.worker.answer(X)

    def answer_at_once(self, X: Array) -> tuple[Array, Array | None]:
        """The same without asking anybody else; raises LeftToWorker if that is not possible."""
        instances = [[None if x != x else x for x in row] for row in X.tolist()]  # noqa: PLR0124  # NaN
        found = [row for row in self._predict_many(instances) if row is not None]
        if len(found) < len(instances):
            raise LeftToWorker
        probabilities = np.array(found)
        return probabilities.argmax(axis=1), probabilities

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

    def _warn_of(self, values: list[Any]) -> list[FeatureWarning]:
        if self._bounds:
            low, high = self._bounds
            try:
                if all(map(le, low, values)) and all(map(le, values, high)):
                    return []
            except TypeError:  # one is missing
                pass
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


def _list_left(instances: list[list[Value]], found: Sequence[Probabilities]) -> list[list[Value]]:
    """The instances that the engine has no answer to."""
    return [values for values, row in zip(instances, found, strict=True) if row is None]


def _fill(found: list[Probabilities], answered: tuple[Array, Array | None] | None) -> list[Answer]:
    """The engine's answers, and in place of None, in their order, the worker's."""
    indices, probabilities = answered or (np.empty(0), None)
    rows = [None] * len(indices) if probabilities is None else probabilities.tolist()
    rest = iter(zip(indices.tolist(), rows, strict=True))
    return [next(rest) if row is None else (row.index(max(row)), row) for row in found]


def _find_bounds(features: Sequence[Feature]) -> tuple[list[float], list[float]] | None:
    """The training ranges, where all features are numbers that have one."""
    bounds = [
        (feature.min, feature.max)
        for feature in features
        if isinstance(feature, Number)
        if feature.min is not None and feature.max is not None
    ]
    if len(bounds) < len(features):
        return None
    return [low for low, _ in bounds], [high for _, high in bounds]


def _check(feature: Feature) -> Callable[[Any], Unusual | None]:
    """A function from a value of the feature to what is unusual about it."""
    if isinstance(feature, Category):
        missing = MISSING if feature.nullable else MISSING_RARE
        return partial(_look_up, frozenset(feature.values), missing)
    if isinstance(feature, Boolean) or feature.min is None or feature.max is None:
        return lambda value: MISSING if value is None else None
    said = f"is outside the training range {describe_range(feature)}"
    return partial(_compare, feature.min, feature.max, said)


def _look_up(known: frozenset[str], missing: Unusual, value: str | None) -> Unusual | None:
    if value is None:
        return missing
    if value in known:
        return None
    return f'"{shorten(value)}" is not a value the model knows', "; it is treated as a rare one"


def _compare(low: float, high: float, said: str, value: float | None) -> Unusual | None:
    if value is None:
        return MISSING
    return None if low <= value <= high else (f"{value:.15g} {said}", "")
