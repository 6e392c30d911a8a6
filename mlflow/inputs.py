"""Finds a model's features in rows of a table: what is wrong with them, and what it is asked."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import nan
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from errors import CommandFailed
from missing import MISSING

Array = npt.NDArray[Any]

SHOWN_VALUES = 2  # of a category, to whom has something else
SHOWN_CHARACTERS = 500  # of the columns there are

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
NOT_FINITE = r"^[+-]?([nN][aA][nN]|[iI][nN][fF]([iI][nN][iI][tT][yY])?)$"

BOOLEANS = ["false", "true", "0", "1"]

KINDS = {"number": pa.float64(), "boolean": pa.bool_(), "category": pa.string()}


class UnusableColumns(CommandFailed):
    """The table lacks features, or has them as something else; the message names them."""


class Feature(NamedTuple):
    """What a model's manifest says of an input; `values` are those of a category."""

    name: str
    type: str
    nullable: bool
    values: tuple[str, ...]

    @classmethod
    def from_manifest(cls, said: dict[str, Any]) -> "Feature":
        """Raises KeyError or TypeError where that is no feature."""
        kind = str(said["type"])
        if kind not in KINDS:
            raise KeyError(kind)
        values = tuple(map(str, said.get("values", ())))
        return cls(str(said["name"]), kind, bool(said.get("nullable", False)), values)

    @property
    def demand(self) -> str:
        if self.type == "number":
            return f"{self.name} must be a number."
        if self.type == "boolean":
            return f"{self.name} must be true or false."
        values = " or ".join(f'"{value}"' for value in self.values[:SHOWN_VALUES])
        return f"{self.name} must be text, such as {values}."


class Fault(NamedTuple):
    """What is wrong with a row; no column where it is the row as a whole."""

    row: int
    column: str
    reason: str


def to_array(features: Sequence[Feature], rows: Sequence[dict[str, Any]]) -> Array:
    """Shape (n, f), as pipelines are fitted: booleans are 0 and 1, and what is missing nan."""
    has_text = any(feature.type == "category" for feature in features)
    X = [[_fit(row.get(feature.name)) for feature in features] for row in rows]
    return np.array(X, dtype=object if has_text else float)


class Inputs:
    """Where the features are in tables of a schema; raises UnusableColumns where they are not.

    With `is_text` every cell is, as in CSV; with `has_commas` they may part decimals.
    """

    def __init__(
        self, features: Sequence[Feature], schema: Any, is_text: bool, has_commas: bool = False
    ) -> None:
        self._features = features
        self._is_text = is_text
        self._has_commas = has_commas
        self._has_text = any(feature.type == "category" for feature in features)
        self._require_columns(schema)
        self._places = [schema.get_field_index(feature.name) for feature in features]

    def convert(self, chunk: Any) -> list[Any]:
        """Each feature's cells: null where one is missing, or is no value of the feature."""
        return [
            self._convert(feature, chunk.column(place))
            for feature, place in zip(self._features, self._places, strict=True)
        ]

    def replace(self, chunk: Any, cells: list[Any]) -> Any:
        """The chunk with its features as what their text stands for."""
        for feature, place, column in zip(self._features, self._places, cells, strict=True):
            chunk = chunk.set_column(place, pa.field(feature.name, column.type), column)
        return chunk

    def find_faults(self, chunk: Any, cells: list[Any]) -> list[tuple[Array, str, str]]:
        """Places of rows in the chunk, with the column and the reason."""
        return [
            it
            for feature, place, column in zip(self._features, self._places, cells, strict=True)
            for it in self._find_faults(feature, chunk.column(place), column)
        ]

    def to_array(self, cells: list[Any]) -> Array:
        """As the model is asked, shape (n, f): numbers, or objects where there is text."""
        X = np.empty((len(cells[0]), len(cells)), object if self._has_text else float)
        for index, (feature, column) in enumerate(zip(self._features, cells, strict=True)):
            X[:, index] = _to_objects(column) if feature.type == "category" else _to_floats(column)
        return X

    def _require_columns(self, schema: Any) -> None:
        names = [feature.name for feature in self._features]
        if missing := [name for name in names if name not in schema.names]:
            found = ", ".join(schema.names)[:SHOWN_CHARACTERS]
            said = f"The model needs the columns {', '.join(missing)}, which are not there"
            raise UnusableColumns(f"{said}. Those that are: {found}.")
        for feature in self._features:
            kind = schema.field(feature.name).type
            if not (self._is_text or _takes(feature, kind)):
                raise UnusableColumns(f"{feature.demand} Its column is of type {kind}.")

    def _convert(self, feature: Feature, column: Any) -> Any:
        cells = _convert(feature, column, self._has_commas)
        if self._is_text and _may_miss(cells, column):
            return _convert(feature, _clear(feature, column), self._has_commas)
        return cells

    def _find_faults(
        self, feature: Feature, sent: Any, cells: Any
    ) -> Iterator[tuple[Array, str, str]]:
        name = feature.name
        if self._is_text and cells.null_count > sent.null_count:
            sent = _clear(feature, sent)
        if not feature.nullable and sent.null_count:
            yield _find(sent.is_null()), name, f"{name} is missing."
        if cells.null_count > sent.null_count:
            yield _find(pc.and_not(cells.is_null(), sent.is_null())), name, feature.demand
        if pa.types.is_floating(cells.type):
            finite = np.isfinite(_to_floats(cells))
            if np.count_nonzero(finite) + cells.null_count < len(cells):
                infinite = ~finite & cells.is_valid().to_numpy(zero_copy_only=False)
                yield np.flatnonzero(infinite), name, f"{name} must be a finite number."


def _fit(value: Any) -> float | str:
    if value is None:
        return nan
    return value if isinstance(value, str) else float(value)


def _takes(feature: Feature, kind: Any) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_null(kind):
        return True
    if feature.type == "number":
        return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))
    if feature.type == "boolean":
        return bool(types.is_boolean(kind))
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _convert(feature: Feature, column: Any, has_commas: bool) -> Any:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = KINDS[feature.type]
    if column.type == kind:
        return column
    if not pa.types.is_string(column.type):
        return column.cast(kind, safe=False)
    if feature.type == "boolean":
        return _read_booleans(column)
    return _read_numbers(column, has_commas)


def _may_miss(cells: Any, column: Any) -> bool:
    """Whether to look for what stands for nothing, which takes as long as to read the numbers."""
    if pa.types.is_string(cells.type) or cells.null_count > column.null_count:
        return True
    return pa.types.is_floating(cells.type) and bool(pc.any(pc.is_nan(cells)).as_py())


def _clear(feature: Feature, text: Any) -> Any:
    """Null where a word stands for nothing, and is no value of the feature."""
    words = pa.array([word for word in MISSING if word not in feature.values])
    return pc.if_else(pc.is_in(pc.utf8_ltrim_whitespace(text), words), None, text)


def _find(mask: Any) -> Array:
    return np.flatnonzero(mask.to_numpy(zero_copy_only=False))


def _read_numbers(text: Any, has_commas: bool) -> Any:
    with suppress(pa.ArrowInvalid):
        return text.cast(pa.float64())
    text = pc.utf8_trim_whitespace(text)
    if has_commas:
        text = pc.replace_substring(text, ",", ".")
    is_number = pc.match_substring_regex(text, f"{NUMBER}|{NOT_FINITE}")
    return pc.if_else(is_number, text, None).cast(pa.float64())


def _read_booleans(text: Any) -> Any:
    booleans = pa.array(BOOLEANS)  # not earlier: the first array imports pandas
    found = pc.index_in(pc.utf8_lower(pc.utf8_trim_whitespace(text)), booleans)
    return pc.equal(pc.bit_wise_and(found, 1), 1)


def _to_floats(cells: Any) -> Array:
    floats: Array = cells.cast(pa.float64()).to_numpy(zero_copy_only=False)  # null is nan
    return floats


def _to_objects(cells: Any) -> Array:
    """Texts and nan; each text is made once."""
    encoded = cells.dictionary_encode()
    values = np.array([*encoded.dictionary.to_pylist(), nan], dtype=object)
    found: Array = values[encoded.indices.fill_null(len(values) - 1).to_numpy()]
    return found
