"""Tells what each feature of an instance does to the model's answer."""

from bisect import insort
from math import ceil, floor, isnan, log10, nan
from typing import Any

import numpy as np

from errors import NotExplainable, UnknownFeature, shorten
from schemas import Boolean, Category, Contribution, Curve, Explanation, Feature, Number, Value
from serving.inference import Array, Model

Baseline = bool | float | str

OTHERS = "ask another version: GET /models lists them."
CURVE_STEPS = 50  # at the most, between the ends of a number's training range


def explain(model: Model, values: list[Value], vary: str | None = None) -> Explanation:
    """Changes one feature at a time to its baseline, and asks the estimator for all at once.

    Where `vary` names a feature, with the probabilities along all of its values. Raises
    NotExplainable, UnknownFeature, or InvalidInstance where the model has no answer to the
    instance.
    """
    place = None if vary is None else _find_feature(model, vary)
    baselines = [_find_baseline(feature) for feature in model.description.features]
    # First alone: an estimator that refuses the instance would be asked for each change of it.
    prediction = model.describe(values, *model.answer_many([values]))
    row, usual = model.to_array([values, baselines])
    X = np.tile(row, (len(row) + 1, 1))  # the row, and after it each of its values changed
    np.fill_diagonal(X[1:], usual)
    probability, *changed = _ask(model, X)[:, prediction["prediction"]].tolist()
    differences = [
        # Not by subtraction: equal rows of one matrix product may differ in the last digits.
        0.0 if value == baseline else probability - without
        for value, baseline, without in zip(values, baselines, changed, strict=True)
    ]
    return Explanation(
        model_version=model.version,
        prediction_class=prediction["prediction_class"],
        probability=probability,
        contributions=list(map(_contribution, model.names, values, baselines, differences)),
        curve=None if place is None else _trace(model, values, place),
    )


def _find_feature(model: Model, name: str) -> int:
    if name not in model.names:
        known = ", ".join(map(shorten, model.names[:20]))
        raise UnknownFeature(f"{shorten(name)} is not a feature of this model. It has {known}.")
    return model.names.index(name)


def _trace(model: Model, values: list[Value], place: int) -> Curve:
    """The probabilities with one feature at each of its values, all others as they are."""
    feature = model.description.features[place]
    points = _list_points(feature, values[place])
    X = model.to_array([[*values[:place], point, *values[place + 1 :]] for point in points])
    named = {
        name: [None if isnan(share) else share for share in column]
        for name, column in zip(model.classes, _ask(model, X).T.tolist(), strict=True)
    }
    return Curve(feature=feature.name, values=points, probabilities=named)


def _list_points(feature: Feature, value: Value) -> list[Any]:
    """The values of the training table's range, the instance's own one among them."""
    if isinstance(feature, Boolean | Category):
        known: list[Any] = feature.values if isinstance(feature, Category) else [False, True]
        points = [*known, None] if feature.nullable else list(known)
        return points if value in points else [*points, value]
    points = _divide(feature)
    if isinstance(value, float) and value not in points:
        insort(points, value)
    return points


def _divide(feature: Number) -> list[float]:
    """The training range in as many steps of the table's own as are not too many."""
    if feature.min is None or feature.max is None or not feature.step:
        return []  # explained by nobody, as there is no median either
    span = feature.max - feature.min
    stride = feature.step * max(1, ceil(span / feature.step / CURVE_STEPS))
    decimals = -floor(log10(feature.step))
    inner = [round(feature.min + i * stride, decimals) for i in range(ceil(span / stride))]
    return sorted({feature.min, *(value for value in inner if value < feature.max), feature.max})


def _find_baseline(feature: Feature) -> Baseline:
    """What is usual in the training table: the median of numbers, else the mode."""
    if not isinstance(feature, Number):
        return feature.mode
    if feature.median is None:
        message = "The model has no manifest, so the medians to compare with are not known."
        raise NotExplainable(f"{message} Publish it with one, or {OTHERS}")
    return feature.median


def _ask(model: Model, X: Array) -> Array:
    """Probabilities, shape (n, k); nan in rows without an answer."""
    indices, probabilities = model.answer(X)
    if probabilities is None:
        message = "The estimator has no predict_proba, so there are no probabilities to compare."
        raise NotExplainable(f"{message} Train one that has, or {OTHERS}")
    return np.where(indices[:, None] < 0, nan, probabilities)


def _contribution(name: str, value: Value, baseline: Baseline, difference: float) -> Contribution:
    found = None if isnan(difference) else difference
    return Contribution(feature=name, value=value, baseline=baseline, contribution=found)
