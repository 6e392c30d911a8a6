"""Finds a model's features in a table: what is wrong with them, and what the model is asked."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import nan
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from errors import InvalidTable, TableFault, shorten
from features.instances import explain
from schemas import Description
from worker.exchange import Array
from worker.media import Format
from worker.rows import has_text
from worker.tables.cells import CellReader, make_readers, to_mask
from worker.tables.table import Table

SHOWN_FAULTS = 20
COUNTED_FAULTS = 100_000

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
        readers = make_readers(description, table.decimal)
        _require_features(readers, table.schema)
        self._columns = [_Column(reader, table) for reader in readers]
        self._is_text = table.is_text
        self._has_text = has_text(description.features)
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

    def __init__(self, reader: CellReader, table: Table) -> None:
        self.name = reader.feature.name
        self.place = table.schema.get_field_index(self.name)
        self._reader = reader

    def read(self, chunk: Any) -> Any:
        """Null where a cell is missing, or is no value of the feature."""
        return self._reader.read(chunk.column(self.place))

    def find_bad(self, chunk: Any, cells: Any) -> Iterator[BadRows]:
        column, feature = chunk.column(self.place), self._reader.feature
        if cells.null_count > column.null_count:
            column = self._reader.clear(column)
        if column.null_count and not feature.may_be_missing:
            yield self._explain(to_mask(column.is_null()), "missing")
        if cells.null_count > column.null_count:
            is_wrong = pc.and_not(cells.is_null(), column.is_null())
            yield self._explain(to_mask(is_wrong), WRONG[feature.type])
        if pa.types.is_floating(cells.type):
            finite = np.isfinite(_to_floats(cells))
            if np.count_nonzero(finite) + cells.null_count < len(cells):
                yield self._explain(~finite & to_mask(cells.is_valid()), "finite_number")

    def _explain(self, mask: Array, kind: str) -> BadRows:
        """`kind` is pydantic's."""
        reason = explain(kind, self.name, self._reader.feature)
        return BadRows(np.flatnonzero(mask), self.name, reason)


def _require_features(readers: Sequence[CellReader], schema: Any) -> None:
    """Raises InvalidTable."""
    names = Counter(schema.names)
    faults = Faults()
    twice = sorted(name for name, count in names.items() if count > 1)
    faults.add_columns((name, f"There are two columns {shorten(name)}.") for name in twice)
    faults.raise_any()
    sent = shorten(", ".join(names))
    for reader in readers:
        name, feature = reader.feature.name, reader.feature
        if name not in names:
            # Nullable or not: a name misspelt would be taken for a column of the caller's own.
            said = f"There is no column {shorten(name)}. The columns are {sent}."
            faults.add_columns([(name, said)])
        elif not reader.takes(found := schema.field(name).type):
            said = f"{explain(WRONG[feature.type], name, feature)} Its column is of type {found}."
            faults.add_columns([(name, said)])
    faults.raise_any()


def _to_floats(cells: Any) -> Array:
    floats: Array = cells.cast(pa.float64()).to_numpy(zero_copy_only=False)  # null is nan
    return floats


def _to_objects(cells: Any) -> Array:
    """Texts and nan; each text is made once."""
    encoded = cells.dictionary_encode()
    values = np.array([*encoded.dictionary.to_pylist(), nan], dtype=object)
    found: Array = values[encoded.indices.fill_null(len(values) - 1).to_numpy()]
    return found
