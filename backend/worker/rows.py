"""Rows of a model's values, as arrays and between two processes."""

from collections.abc import Sequence
from math import nan

import numpy as np

from schemas import Category, Feature, Value
from worker.exchange import Array, Message


def has_text(features: Sequence[Feature]) -> bool:
    return any(isinstance(feature, Category) for feature in features)


def to_array(instances: Sequence[Sequence[Value]], is_text: bool) -> Array:
    """Shape (n, f), as pipelines are fitted: booleans are 0 and 1, and what is missing nan."""
    if is_text:
        return np.array([list(map(_to_cell, values)) for values in instances], dtype=object)
    return np.array(instances, dtype=np.float64)  # which makes None nan


def write_question(X: Array) -> Message:
    """Asks for the answers to rows; objects are text and numbers."""
    if X.dtype == object:
        return Message({"ask": "answer", "rows": X.tolist()})
    return Message({"ask": "answer"}, {"X": X})


def read_question(message: Message) -> Array:
    if "X" in message.arrays:
        return message.arrays["X"]
    return np.array(message.head["rows"], dtype=object)


def _to_cell(value: Value) -> float | str:
    """As a column of objects holds it, where NumPy converts nothing."""
    if value is None:
        return nan
    return value if isinstance(value, str) else float(value)
