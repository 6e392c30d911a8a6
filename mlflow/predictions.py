"""Asks a model for rows, and puts its answers into columns."""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from math import nan
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

# Of rows that a model is asked at a time: what they take stays in the processor's caches.
ROWS_AT_ONCE = 16_384

PROBABILITY = "probability_"  # and the class

Array = npt.NDArray[Any]

# A model is fitted on named columns and asked with arrays, whose order the manifest gives.
warnings.filterwarnings("ignore", message="X does not have valid feature names")


def ask(estimator: Any, X: Array, classes: int) -> Array:
    """Probabilities, shape (n, k), nan in rows that the model has no answer to."""
    starts = range(0, len(X), ROWS_AT_ONCE)
    found = [_ask(estimator, X[start : start + ROWS_AT_ONCE], classes) for start in starts]
    return np.concatenate(found) if found else np.empty((0, classes))


def name_columns(classes: Sequence[str]) -> list[str]:
    """The columns that are added to a table."""
    return [
        "prediction",
        "prediction_class",
        *(f"{PROBABILITY}{name}" for name in classes),
        "model_version",
    ]


def make_fields(classes: Sequence[str]) -> list[Any]:
    text = pa.dictionary(pa.int32(), pa.string())
    kinds = [pa.int32(), text, *[pa.float64()] * len(classes), text]
    return list(map(pa.field, name_columns(classes), kinds))


def make_columns(probabilities: Array, classes: Sequence[str], version: str) -> list[Any]:
    """Arrays of n answers; none of them missing."""
    indices = pa.array(probabilities.argmax(axis=1).astype(np.int32))
    labels = pa.DictionaryArray.from_arrays(indices, pa.array(classes))
    first = pa.array(np.zeros(len(indices), np.int32))
    versions = pa.DictionaryArray.from_arrays(first, pa.array([version]))
    return [indices, labels, *map(pa.array, np.ascontiguousarray(probabilities.T)), versions]


def _ask(estimator: Any, X: Array, classes: int) -> Array:
    with suppress(ValueError), np.errstate(all="ignore"):  # scikit-learn's, of one row, for all
        probabilities: Array = estimator.predict_proba(X)
        probabilities[~np.isfinite(probabilities).all(axis=1)] = nan
        return probabilities
    if len(X) == 1:
        return np.full((1, classes), nan)
    return np.concatenate([_ask(estimator, half, classes) for half in np.array_split(X, 2)])
