"""Finds out what the steps before a classifier make of each feature."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    RobustScaler,
    StandardScaler,
)

from schemas import Category, Feature, Value

Array = npt.NDArray[Any]


class NotCompiled(Exception):
    """There is no compiled form that is known to be exact; the message says why."""


FAR = 2.0**100  # so far that a slope is exact to its last digit
UNKNOWN = "\ufffe"  # no character, so no table's category

# Each looks at one feature at a time, and what it makes of a number is a line.
_TAKEN = (
    ColumnTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    Pipeline,
    RobustScaler,
    SimpleImputer,
    StandardScaler,
)


@dataclass
class Prepared:
    """One feature's columns of the c prepared ones, and what they hold for which value.

    A number adds `slopes` times itself to what the columns start with; text, and what is missing
    or unknown, have values of their own in its place, or None where the steps take no such value.
    """

    is_plain: bool  # always a number
    columns: Array
    slopes: Array
    rows: dict[str, Array]
    missing: Array | None
    unknown: Array | None

    def find(self, value: str | None) -> Array | None:
        return self.missing if value is None else self.rows.get(value, self.unknown)


class Recipe:
    """Makes a prepared row of an instance; `start`, shape (c,), is that of one of zeros."""

    def __init__(self, start: Array, features: list[Prepared]) -> None:
        self.start = start
        self.features = features
        self._start: list[float] = start.tolist()
        self._lines = [
            [line for line in zip(it.columns.tolist(), it.slopes.tolist(), strict=True) if line[1]]
            for it in features
        ]

    @property
    def is_exact(self) -> bool:
        """Whether a number stays as it is, to the last bit."""
        return all(
            slope == 1 and self.start[column] == 0
            for lines in self._lines
            for column, slope in lines
        )

    def follow(self, values: list[Any]) -> list[float] | None:
        """The row, or None where the steps do not take a value."""
        row = self._start.copy()
        for lines, feature, value in zip(self._lines, self.features, values, strict=True):
            if value is None or isinstance(value, str):
                if (found := feature.find(value)) is None:
                    return None
                for column, it in zip(feature.columns.tolist(), found.tolist(), strict=True):
                    row[column] = it
            else:
                for column, slope in lines:
                    row[column] += slope * value
        return row


class Preparation:
    """The steps, and the recipe that was read from their answers."""

    def __init__(self, steps: Sequence[Any], features: Sequence[Feature]) -> None:
        self._steps = steps
        for step in steps:
            _require_taken(step)
        self._first: list[Value] = [_first(feature) for feature in features]
        self._categories = list(_find_categories(steps))
        self._has_text = any(isinstance(feature, Category) for feature in features)
        [self._start] = self.transform([self._first])
        found = [self._prepare(i, feature) for i, feature in enumerate(features)]
        self.recipe = Recipe(self._start, found)

    def transform(self, instances: Sequence[Sequence[Value]]) -> Array:
        """Shape (n, c), by the steps themselves."""
        rows = [[nan if it is None else it for it in values] for values in instances]
        return self._transform(np.array(rows, dtype=object if self._has_text else np.float64))

    def transform_numbers(self, numbers: Array) -> Array:
        """As transform, of numbers of shape (n, f); categories are each feature's first."""
        X = np.array([self._first] * len(numbers), dtype=object if self._has_text else np.float64)
        is_number = [not isinstance(value, str) for value in self._first]
        X[:, is_number] = numbers[:, is_number]
        return self._transform(X)

    def _transform(self, X: Array) -> Array:
        for step in self._steps:
            X = step.transform(X)
        dense = X.toarray() if hasattr(X, "toarray") else X
        return np.asarray(dense, dtype=np.float64)

    def _replace(self, index: int, value: Value) -> list[Value]:
        """An instance of zeros and first categories, but for one feature."""
        return [*self._first[:index], value, *self._first[index + 1 :]]

    def _prepare(self, index: int, feature: Feature) -> Prepared:
        missing = self._try(index, None) if feature.nullable else None
        if isinstance(feature, Category):
            known = {*feature.values, *self._categories}
            rows = {value: self._try(index, value) for value in known}
            taken = {value: row for value, row in rows.items() if row is not None}
            return self._find_columns(False, taken, missing, self._try(index, UNKNOWN))
        [far] = self.transform([self._replace(index, FAR)])
        slopes = (far - self._start) / FAR
        return self._find_columns(not feature.nullable, {}, missing, None, slopes)

    def _try(self, index: int, value: Value) -> Array | None:
        """The prepared row of an instance with this value, None where the steps refuse it."""
        try:
            [row] = self.transform([self._replace(index, value)])
        except ValueError:
            return None
        return None if np.isnan(row).any() else row

    def _find_columns(
        self,
        is_plain: bool,
        rows: dict[str, Array],
        missing: Array | None,
        unknown: Array | None,
        slopes: Array | None = None,
    ) -> Prepared:
        """Those that any value of the feature changes."""
        slopes = np.zeros_like(self._start) if slopes is None else slopes
        changed = slopes != 0
        for row in (*rows.values(), missing, unknown):
            if row is not None:
                changed |= row != self._start
        columns = np.flatnonzero(changed)
        return Prepared(
            is_plain=is_plain,
            columns=columns,
            slopes=slopes[columns],
            rows={value: row[columns] for value, row in rows.items()},
            missing=None if missing is None else missing[columns],
            unknown=None if unknown is None else unknown[columns],
        )


def _first(feature: Feature) -> Value:
    return feature.values[0] if isinstance(feature, Category) else 0.0


def _walk(steps: Sequence[Any]) -> Iterator[Any]:
    """Every fitted transformer, those within others too."""
    for step in steps:
        yield step
        if isinstance(step, Pipeline):
            yield from _walk([it for _, it in step.steps])
        if isinstance(step, ColumnTransformer):
            yield from _walk([it for _, it, _ in step.transformers_ if it != "drop"])


def _require_taken(step: Any) -> None:
    for it in _walk([step]):
        odd_missing = isinstance(it, SimpleImputer) and not _is_nan(it.missing_values)
        if type(it) not in _TAKEN or getattr(it, "clip", False) or odd_missing:
            raise NotCompiled(f"It has a {type(it).__name__}, which is not compiled.")


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and isnan(value)


def _find_categories(steps: Sequence[Any]) -> Iterator[str]:
    for it in _walk(steps):
        for known in getattr(it, "categories_", ()):
            yield from (value for value in known if isinstance(value, str))
