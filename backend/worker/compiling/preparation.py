"""Finds out what the steps before a classifier make of each feature."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np
from sklearn import preprocessing
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline

from engines.engine import NotCompiled
from engines.lines import UNKNOWN, Array
from schemas import Category, Feature, Value
from worker.rows import has_text, to_array

FAR = 2.0**100  # so far that a slope is exact to its last digit

# Each looks at one feature at a time, and what it makes of a number is a line.
_TAKEN = (
    ColumnTransformer,
    Pipeline,
    SimpleImputer,
    preprocessing.MaxAbsScaler,
    preprocessing.MinMaxScaler,
    preprocessing.OneHotEncoder,
    preprocessing.RobustScaler,
    preprocessing.StandardScaler,
)


@dataclass
class Prepared:
    """One feature's columns of the c prepared ones, and what they hold for which value.

    A number adds `slopes` times itself to what the columns start with. `rows` stand for texts, for
    an unknown one, and for None.
    """

    columns: Array
    slopes: Array
    rows: dict[str | None, Array]


class Preparation:
    """The steps, and what their answers tell of each feature.

    `start`, shape (c,), is the prepared row of an instance of zeros and first categories.
    """

    def __init__(self, steps: Sequence[Any], features: Sequence[Feature]) -> None:
        self._steps = steps
        _require_taken(steps)
        self._first: list[Value] = [_first(feature) for feature in features]
        self._categories = list(_find_categories(steps))
        self._has_text = has_text(features)
        self.start = self._ask_about(0, self._first[0])
        self.features = [self._prepare(i, feature) for i, feature in enumerate(features)]

    def transform_numbers(self, numbers: Array) -> Array:
        """Shape (n, c), of numbers of shape (n, f); categories are each feature's first."""
        X = np.tile(to_array([self._first], self._has_text), (len(numbers), 1))
        is_number = [not isinstance(value, str) for value in self._first]
        X[:, is_number] = numbers[:, is_number]
        return self._transform(X)

    def _transform(self, X: Array) -> Array:
        for step in self._steps:
            X = step.transform(X)
        dense = X.toarray() if hasattr(X, "toarray") else X
        return np.asarray(dense, dtype=np.float64)

    def _ask_about(self, index: int, value: Value) -> Array:
        """The prepared row of an instance of zeros and first categories, but for one feature."""
        values = [*self._first[:index], value, *self._first[index + 1 :]]
        row: Array = self._transform(to_array([values], self._has_text))[0]
        return row

    def _prepare(self, index: int, feature: Feature) -> Prepared:
        values: list[str | None] = [None] if feature.may_be_missing else []
        slopes = np.zeros_like(self.start)
        if isinstance(feature, Category):
            values += dict.fromkeys((*feature.values, *self._categories, UNKNOWN))
        else:
            slopes = (self._ask_about(index, FAR) - self.start) / FAR
        tried = {value: self._try(index, value) for value in values}
        rows = {value: row for value, row in tried.items() if row is not None}
        changed = np.any([slopes != 0, *(row != self.start for row in rows.values())], axis=0)
        columns = np.flatnonzero(changed)
        held = {value: row[columns] for value, row in rows.items()}
        return Prepared(columns, slopes[columns], held)

    def _try(self, index: int, value: Value) -> Array | None:
        """None where the steps refuse the value."""
        try:
            row = self._ask_about(index, value)
        except ValueError:
            return None
        return None if np.isnan(row).any() else row


def _first(feature: Feature) -> Value:
    return feature.values[0] if isinstance(feature, Category) else 0.0


def _walk(steps: Sequence[Any]) -> Iterator[Any]:
    """Every fitted transformer, those within others too."""
    for step in steps:
        yield step
        if isinstance(step, Pipeline):
            yield from _walk([inner for _, inner in step.steps])
        if isinstance(step, ColumnTransformer):
            yield from _walk([inner for _, inner, _ in step.transformers_ if inner != "drop"])


def _require_taken(steps: Sequence[Any]) -> None:
    for step in _walk(steps):
        missing = getattr(step, "missing_values", nan)  # of an imputer
        is_nan = isinstance(missing, float) and isnan(missing)
        if type(step) not in _TAKEN or getattr(step, "clip", False) or not is_nan:
            raise NotCompiled(f"It has a {type(step).__name__}, which is not compiled.")


def _find_categories(steps: Sequence[Any]) -> Iterator[str]:
    for step in _walk(steps):
        for known in getattr(step, "categories_", ()):
            yield from (value for value in known if isinstance(value, str))
