"""Finds a model's features in a table: what is wrong with them, and what the model is asked."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from math import nan
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from errors import InvalidTable, TableFault, shorten
from instances import explain
from schemas import Category, Feature

SHOWN_FAULTS = 20
COUNTED_FAULTS = 100_000

Array = npt.NDArray[Any]

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
NOT_FINITE = r"^[+-]?([nN][aA][nN]|[iI][nN][fF]([iI][nN][iI][tT][yY])?)$"
BOOLEANS = pa.array(["false", "true", "0", "1"])

# What stands in CSV for a value that is not there, as in the tables that models are trained on.
MISSING = (
    *("", "?", "NA", "<NA>", "#NA", "N/A", "n/a", "#N/A", "#N/A N/A", "NULL", "null", "None"),
    *("NaN", "nan", "-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)

KINDS = {"number": pa.float64(), "boolean": pa.bool_(), "category": pa.string()}
WRONG = {"number": "float_type", "boolean": "bool_type", "category": "string_type"}


class Faults:
    """The first of all that is wrong in a table."""

    def __init__(self) -> None:
        self._first: list[TableFault] = []
        self._more = 0

    def add(self, faults: Sequence[TableFault], more: int = 0) -> None:
        room = SHOWN_FAULTS - len(self._first)
        self._first += faults[:room]
        self._more += len(faults[room:]) + more

    def add_columns(self, said: Iterable[tuple[str, str]]) -> None:
        """Names of columns, each with what is wrong with it."""
        self.add([TableFault(fault, None, shorten(name)) for name, fault in said])

    def raise_many(self) -> None:
        """Raises InvalidTable where there are so many that it is idle to count them all."""
        if self._more >= COUNTED_FAULTS:
            raise InvalidTable(self._first, f"at least {COUNTED_FAULTS}")

    def raise_any(self) -> None:
        if self._first:
            raise InvalidTable(self._first, self._more)


class _Wrong(NamedTuple):
    rows: Array
    kind: str  # pydantic's
    feature: Feature


class Columns:
    """Where the features are in the tables of a schema; raises InvalidTable where they are not."""

    def __init__(self, features: Sequence[Feature], schema: Any, is_text: bool) -> None:
        self._features = features
        self._is_text = is_text
        self._has_text = any(isinstance(feature, Category) for feature in features)
        self._missing = {feature.name: _find_missing(feature) for feature in features}
        faults = Faults()
        faults.add_columns(it for feature in features for it in self._check(feature, schema))
        faults.raise_any()
        self._places = [schema.get_field_index(feature.name) for feature in features]
        self._last: tuple[Any, list[Any]] = (None, [])  # a chunk, and its cells

    def _check(self, feature: Feature, schema: Any) -> Iterator[tuple[str, str]]:
        if feature.name not in schema.names:
            # Nullable or not: a name misspelt would be taken for a column of the caller's own.
            sent = shorten(", ".join(schema.names))
            said = f"There is no column {shorten(feature.name)}. The columns are {sent}."
            yield feature.name, said
        elif not self._is_text and not _takes(feature, schema.field(feature.name).type):
            reason = explain(WRONG[feature.type], feature.name, feature)
            found = schema.field(feature.name).type
            yield feature.name, f"{reason} Its column is of type {found}."

    def find_faults(self, chunk: Any, faults: Faults, rows_before: int) -> None:
        """Adds what is wrong with the rows of a chunk."""
        wrong = self._list_wrong(chunk)
        # The first few of each suffice for the first few of all.
        first = [(row, it) for it in wrong for row in it.rows[:SHOWN_FAULTS].tolist()]
        first.sort(key=lambda it: it[0])
        more = sum(len(it.rows) for it in wrong) - len(first)
        faults.add([_describe(it, rows_before + row + 1) for row, it in first], more)

    def find_bad(self, chunk: Any) -> list[tuple[Array, str, str]]:
        """Places of bad rows in a chunk, with the column and the reason."""
        return [
            (it.rows, it.feature.name, explain(it.kind, it.feature.name, it.feature))
            for it in self._list_wrong(chunk)
        ]

    def _list_wrong(self, chunk: Any) -> list[_Wrong]:
        read = zip(self._features, self._places, self._read(chunk), strict=True)
        return [
            it
            for feature, place, cells in read
            for it in self._find_wrong(feature, chunk.column(place), cells)
        ]

    def to_array(self, chunk: Any) -> Array:
        """As the model is asked, shape (n, f): numbers, or objects where there is text."""
        X = np.empty((chunk.num_rows, len(self._features)), object if self._has_text else float)
        for index, (feature, cells) in enumerate(
            zip(self._features, self._read(chunk), strict=True)
        ):
            X[:, index] = _to_objects(cells) if isinstance(feature, Category) else _to_floats(cells)
        return X

    def convert(self, chunk: Any) -> Any:
        """Text as what it stands for, where it stands for a feature."""
        if not self._is_text:
            return chunk
        cells = self._read(chunk)
        for feature, place, converted in zip(self._features, self._places, cells, strict=True):
            field = pa.field(feature.name, KINDS[feature.type])
            chunk = chunk.set_column(place, field, converted)
        return chunk

    def _read(self, chunk: Any) -> list[Any]:
        """The cells of each feature, converted once if a chunk is asked for again at once."""
        if self._last[0] is not chunk:
            columns = map(chunk.column, self._places)
            self._last = (chunk, list(map(self._convert, self._features, columns)))
        return self._last[1]

    def _find_wrong(self, feature: Feature, column: Any, cells: Any) -> Iterator[_Wrong]:
        if self._is_text and cells.null_count > column.null_count:
            column = self._clear(feature, column)
        if not feature.nullable and column.null_count:
            yield _Wrong(_find(column.is_null()), "missing", feature)
        if cells.null_count > column.null_count:
            is_wrong = pc.and_not(cells.is_null(), column.is_null())
            yield _Wrong(_find(is_wrong), WRONG[feature.type], feature)
        if pa.types.is_floating(cells.type):
            finite = np.isfinite(_to_floats(cells))
            if np.count_nonzero(finite) + cells.null_count < len(cells):
                infinite = ~finite & cells.is_valid().to_numpy(zero_copy_only=False)
                yield _Wrong(np.flatnonzero(infinite), "finite_number", feature)

    def _convert(self, feature: Feature, column: Any) -> Any:
        cells = _convert(feature, column)
        if self._is_text and _may_miss(cells, column):
            return _convert(feature, self._clear(feature, column))
        return cells

    def _clear(self, feature: Feature, text: Any) -> Any:
        is_missing = pc.is_in(pc.utf8_ltrim_whitespace(text), self._missing[feature.name])
        return pc.if_else(is_missing, None, text)


def _find_missing(feature: Feature) -> Any:
    """Words that stand for nothing: those that are no values of the feature."""
    known = feature.values if isinstance(feature, Category) else []
    return pa.array([word for word in MISSING if word not in known])


def _may_miss(cells: Any, column: Any) -> bool:
    """Whether to look for what stands for nothing, which takes as long as to read the numbers."""
    if pa.types.is_string(cells.type) or cells.null_count > column.null_count:
        return True
    return pa.types.is_floating(cells.type) and bool(pc.any(pc.is_nan(cells)).as_py())


def _find(mask: Any) -> Array:
    return np.flatnonzero(mask.to_numpy(zero_copy_only=False))


def _describe(wrong: _Wrong, row: int) -> TableFault:
    reason = explain(wrong.kind, wrong.feature.name, wrong.feature)
    return TableFault(reason, row, shorten(wrong.feature.name))


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


def _convert(feature: Feature, column: Any) -> Any:
    """Null where a cell is missing, or is no value of the feature."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = KINDS[feature.type]
    if column.type == kind:
        return column
    if not pa.types.is_string(column.type):
        return column.cast(kind, safe=False)
    return _read_numbers(column) if feature.type == "number" else _read_booleans(column)


def _read_numbers(text: Any) -> Any:
    with suppress(pa.ArrowInvalid):
        return text.cast(pa.float64())
    text = pc.utf8_trim_whitespace(text)
    is_number = pc.match_substring_regex(text, f"{NUMBER}|{NOT_FINITE}")
    return pc.if_else(is_number, text, None).cast(pa.float64())


def _read_booleans(text: Any) -> Any:
    found = pc.index_in(pc.utf8_lower(pc.utf8_trim_whitespace(text)), BOOLEANS)
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
