"""Finds a model's features in a table: what is wrong with them, and what the model is asked."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from math import nan
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.csv import ConvertOptions

from errors import InvalidTable, TableFault, shorten
from features.instances import explain
from schemas import Category, Description, Feature
from worker.exchange import Array
from worker.media import Format
from worker.rows import has_text
from worker.tables.table import Table

SHOWN_FAULTS = 20
COUNTED_FAULTS = 100_000

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
NOT_FINITE = r"^[+-]?([nN][aA][nN]|[iI][nN][fF]([iI][nN][iI][tT][yY])?)$"
BOOLEANS = pa.array(["false", "true", "0", "1"])

# What stands in CSV for a missing value, if no manifest says it.
MISSING = (*ConvertOptions().null_values, "?", "<NA>", "None")

KINDS = {"number": pa.float64(), "boolean": pa.bool_(), "category": pa.string()}
WRONG = {"number": "float_type", "boolean": "bool_type", "category": "string_type"}


class BadRows(NamedTuple):
    """Places of rows in a chunk that cannot be asked about, for one reason."""

    rows: Array
    column: str
    reason: str


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

    def add_rows(self, bad: Sequence[BadRows], rows_before: int) -> None:
        """Rows of a chunk; raises InvalidTable once there are too many to count."""
        # The first few of each suffice for the first few of all.
        first = [(row, found) for found in bad for row in found.rows[:SHOWN_FAULTS].tolist()]
        first.sort(key=itemgetter(0))
        faults = [
            TableFault(found.reason, rows_before + row + 1, shorten(found.column))
            for row, found in first
        ]
        self.add(faults, sum(len(found.rows) for found in bad) - len(first))
        self.raise_many()

    def raise_many(self) -> None:
        """Raises InvalidTable if there are too many to count."""
        if self._more >= COUNTED_FAULTS:
            raise InvalidTable(self._first, f"at least {COUNTED_FAULTS}")

    def raise_any(self) -> None:
        if self._first:
            raise InvalidTable(self._first, self._more)


class Columns:
    """Find the features in a table; raises InvalidTable if they are missing."""

    def __init__(self, description: Description, table: Table) -> None:
        features, written = description.features, description.written
        _require_features(features, table)
        words = written.missing if written else MISSING
        self._columns = [_Column(feature, table, words) for feature in features]
        self._is_text = table.is_text
        self._has_text = has_text(features)
        self._last: tuple[Any, list[Any]] = (None, [])  # a chunk, and its cells

    def find_bad(self, chunk: Any) -> list[BadRows]:
        read = zip(self._columns, self.read_cells(chunk), strict=True)
        return [bad for column, cells in read for bad in column.find_bad(chunk, cells)]

    def to_array(self, chunk: Any) -> Array:
        """As the model is asked, shape (n, f): numbers, or objects where there is text."""
        cells = self.read_cells(chunk)
        X = np.empty((chunk.num_rows, len(cells)), object if self._has_text else float)
        for index, column in enumerate(cells):
            is_text = pa.types.is_string(column.type)
            X[:, index] = _to_objects(column) if is_text else _to_floats(column)
        return X

    def shape(self, chunk: Any, wanted: Format) -> Any:
        """Rows as they are written: text comes back letter by letter, and typed in Parquet."""
        if not self._is_text or wanted is not Format.PARQUET:
            return chunk
        for column, cells in zip(self._columns, self.read_cells(chunk), strict=True):
            chunk = chunk.set_column(column.place, pa.field(column.name, cells.type), cells)
        return chunk

    def read_cells(self, chunk: Any) -> list[Any]:
        """The cells of each feature, converted once if a chunk is asked for again at once."""
        if self._last[0] is not chunk:
            self._last = (chunk, [column.read(chunk) for column in self._columns])
        return self._last[1]


class _Column:
    """One feature in the chunks of a table."""

    def __init__(self, feature: Feature, table: Table, words: Iterable[str]) -> None:
        self.name = feature.name
        self.place = table.schema.get_field_index(feature.name)
        self._feature = feature
        self._is_text = table.is_text
        self._decimal = table.decimal
        known = feature.values if isinstance(feature, Category) else []
        self._missing = pa.array([word for word in words if word not in known], pa.string())
        # A word such as -999 is a number, too, so cells that can be read may be missing.
        cells = self._convert(self._missing)
        is_text = pa.types.is_string(cells.type)
        self._is_ambiguous = not (is_text or np.isnan(_to_floats(cells)).all())

    def read(self, chunk: Any) -> Any:
        """Null where a cell is missing, or is no value of the feature."""
        column = chunk.column(self.place)
        cells = self._convert(column)
        if self._is_text and (self._is_ambiguous or _may_miss(cells, column)):
            return self._convert(self._clear(column))
        return cells

    def find_bad(self, chunk: Any, cells: Any) -> Iterator[BadRows]:
        column = chunk.column(self.place)
        if self._is_text and cells.null_count > column.null_count:
            column = self._clear(column)
        if not self._feature.nullable and column.null_count:
            yield self._explain(_to_mask(column.is_null()), "missing")
        if cells.null_count > column.null_count:
            is_wrong = pc.and_not(cells.is_null(), column.is_null())
            yield self._explain(_to_mask(is_wrong), WRONG[self._feature.type])
        if pa.types.is_floating(cells.type):
            finite = np.isfinite(_to_floats(cells))
            if np.count_nonzero(finite) + cells.null_count < len(cells):
                yield self._explain(~finite & _to_mask(cells.is_valid()), "finite_number")

    def _explain(self, mask: Array, kind: str) -> BadRows:
        """`kind` is pydantic's."""
        return BadRows(np.flatnonzero(mask), self.name, explain(kind, self.name, self._feature))

    def _convert(self, column: Any) -> Any:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        kind = KINDS[self._feature.type]
        if column.type == kind:
            return column
        if not pa.types.is_string(column.type):
            return column.cast(kind, safe=False)
        if kind == pa.bool_():
            return _read_booleans(column)
        return _read_numbers(column, self._decimal)

    def _clear(self, text: Any) -> Any:
        is_missing = pc.is_in(pc.utf8_ltrim_whitespace(text), self._missing)
        return pc.if_else(is_missing, None, text)


def _require_features(features: Sequence[Feature], table: Table) -> None:
    """Raises InvalidTable."""
    names = Counter(table.schema.names)
    faults = Faults()
    twice = sorted(name for name, count in names.items() if count > 1)
    faults.add_columns((name, f"There are two columns {shorten(name)}.") for name in twice)
    faults.raise_any()
    sent = shorten(", ".join(names))
    for feature in features:
        name, kind = feature.name, WRONG[feature.type]
        if name not in names:
            # Nullable or not: a name misspelt would be taken for a column of the caller's own.
            said = f"There is no column {shorten(name)}. The columns are {sent}."
            faults.add_columns([(name, said)])
        elif not (table.is_text or _takes(feature, found := table.schema.field(name).type)):
            said = f"{explain(kind, name, feature)} Its column is of type {found}."
            faults.add_columns([(name, said)])
    faults.raise_any()


def _may_miss(cells: Any, column: Any) -> bool:
    """Whether to look for what stands for nothing, which takes as long as to read the numbers."""
    if pa.types.is_string(cells.type) or cells.null_count > column.null_count:
        return True
    return pa.types.is_floating(cells.type) and bool(pc.any(pc.is_nan(cells)).as_py())


def _to_mask(cells: Any) -> Array:
    mask: Array = cells.to_numpy(zero_copy_only=False)
    return mask


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


def _read_numbers(text: Any, decimal: str) -> Any:
    if decimal != ".":
        text = pc.replace_substring(text, decimal, ".")
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
