"""Tells what each feature of an instance does to the model's answer."""

from math import isnan, nan
from typing import Any

import numpy as np
import numpy.typing as npt

from errors import NotExplainable
from inference import Model
from schemas import Contribution, Explanation, Feature, Number, Value

Array = npt.NDArray[Any]
Baseline = bool | float | str

OTHERS = "ask another version: GET /models lists them."


def explain(model: Model, values: list[Value]) -> Explanation:
    """Changes one feature at a time to its baseline, and asks the estimator for all at once.

    Raises NotExplainable, or InvalidInstance where the model has no answer to the instance.
    """
    baselines = [_find_baseline(feature) for feature in model.description.features]
    # First alone: an estimator that refuses the instance would be asked for each change of it.
    prediction = model.describe(values, *model.answer_many([values]))
    X = _change_each(*model.to_array([values, baselines]))
    probability, *changed = _ask(model, X, prediction["prediction"])
    differences = [
        # Not by subtraction: equal rows of one matrix product may differ in the last digits.
        0.0 if value == baseline else probability - it
        for value, baseline, it in zip(values, baselines, changed, strict=True)
    ]
    return Explanation(
        model_version=model.version,
        prediction_class=prediction["prediction_class"],
        probability=probability,
        contributions=list(map(_contribution, model.names, values, baselines, differences)),
    )


def _find_baseline(feature: Feature) -> Baseline:
    """What is usual in the training table: the median of numbers, else the mode."""
    if not isinstance(feature, Number):
        return feature.mode
    if feature.median is None:
        message = "The model has no manifest, so the medians to compare with are not known."
        raise NotExplainable(f"{message} Publish it with one, or {OTHERS}")
    return feature.median


def _change_each(row: Array, baselines: Array) -> Array:
    """Shape (f + 1, f): the row of shape (f,), and after it with each of its values changed."""
    X = np.tile(row, (len(row) + 1, 1))
    np.fill_diagonal(X[1:], baselines)
    return X


def _ask(model: Model, X: Array, index: int) -> list[float]:
    """The probability of one class for each row; nan where there is no answer."""
    indices, probabilities = model.answer(X)
    if probabilities is None:
        message = "The estimator has no predict_proba, so there are no probabilities to compare."
        raise NotExplainable(f"{message} Train one that has, or {OTHERS}")
    found: list[float] = np.where(indices < 0, nan, probabilities[:, index]).tolist()
    return found


def _contribution(name: str, value: Value, baseline: Baseline, difference: float) -> Contribution:
    found = None if isnan(difference) else difference
    return Contribution(feature=name, value=value, baseline=baseline, contribution=found)
