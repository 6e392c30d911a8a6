"""Opens JSON tables: a list of instances, or a list of values for each feature."""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from errors import InvalidTable, MalformedBody, MalformedTable, TableFault, shorten
from instances import InstanceReader, explain, type_of
from schemas import Feature
from worker.estimator import Estimator
from worker.tables.columns import KINDS, SHOWN_FAULTS, Faults
from worker.tables.json_pieces import PIECE_BYTES, ArrayText, guess_object, guess_value
from worker.tables.tables import MAX_EXTRA_COLUMNS, Limits, Table

CHECKED_AT_ONCE = 256  # elements
MAX_EXTRA_KEYS = 100  # of an instance, which says of each that it is unknown

SHAPE = 'Send one JSON object, {"instances": [{…}, …]} or {"columns": {"name": […], …}}.'

_SPACE = rb"[ \t\r\n]*+"
_START = re.compile(_SPACE + rb"\{" + _SPACE + rb'"(instances|columns)"' + _SPACE + rb":" + _SPACE)
_NAME = re.compile(_SPACE + rb'("(?:[^"\\]++|\\.)*+")' + _SPACE + rb":" + _SPACE, re.DOTALL)
_NEXT = re.compile(_SPACE + rb"([,}])")
_EMPTY = re.compile(_SPACE + rb"\}")
_END = re.compile(_SPACE + rb"\}" + _SPACE + rb"\Z")


def open_json(body: bytes, model: Estimator, limits: Limits) -> tuple[Table, bool]:
    """The features, kept whole, and whether they came as columns.

    Raises MalformedBody, InvalidTable or TableTooLarge.
    """
    start = _START.match(body)
    in_columns = start is not None and start[1] == b"columns"
    if start is None or not body.startswith(b"{" if in_columns else b"[", start.end()):
        raise _no_table(body)
    reader = (_ColumnsReader if in_columns else _InstancesReader)(body, model, limits)
    batches, end = reader.read(start.end() + 1)
    if not _END.match(body, end):
        raise _no_table(body)
    reader.faults.raise_any()
    return Table(reader.schema, partial(iter, batches)), in_columns


def _no_table(body: bytes) -> MalformedBody | InvalidTable:
    """What is wrong with a body of another shape."""
    try:
        if len(body) <= PIECE_BYTES:
            from_json(body)
    except ValueError as error:
        return MalformedBody(f"{str(error).capitalize()}. {SHAPE}")
    return InvalidTable([TableFault(SHAPE)])


class _Reader:
    """Takes a body apart, and keeps account of what is wrong with it."""

    def __init__(self, body: bytes, model: Estimator, limits: Limits) -> None:
        self.faults = Faults()
        self._body = body
        self._limits = limits
        self._features = {feature.name: feature for feature in model.description.features}
        self._instance_type = InstanceReader(model.description.features).type
        kinds = [KINDS[feature.type] for feature in self._features.values()]
        self.schema = pa.schema(list(zip(self._features, kinds, strict=True)))

    def _check(self, kind: Any, elements: list[Any], before: int, name: str = "") -> list[Any]:
        """Elements as pydantic has them, which says what is wrong, and takes ten times as long.

        It lets nobody else run meanwhile, so it is asked a few at a time.
        """
        most = len(self._features) + MAX_EXTRA_KEYS
        for number, it in enumerate(elements, before + 1):
            if isinstance(it, dict) and len(it) > most:  # a sentence for each would be too many
                raise MalformedTable(f"Instance {number} has {len(it)} keys. Send {most} at most.")
        adapter = TypeAdapter(list[kind])
        checked: list[Any] = []
        for start in range(0, len(elements), CHECKED_AT_ONCE):
            try:
                # As JSON again, as which an instance alone is read, to the same sentences.
                some = to_json(elements[start : start + CHECKED_AT_ONCE], inf_nan_mode="constants")
                checked += adapter.validate_json(some)
            except ValidationError as invalid:
                errors = invalid.errors(include_url=False, include_input=False)
                faults = (self._describe(it, before + start, name) for it in errors)
                first = list(islice(faults, SHOWN_FAULTS))
                self.faults.add(first, len(errors) - len(first))
                self.faults.raise_many()
        return checked

    def _describe(self, error: ErrorDetails, before: int, name: str) -> TableFault:
        index, *rest = error["loc"]
        row = before + int(index) + 1
        if not name and not rest:
            said = shorten(", ".join(self._features))
            return TableFault(f"It must be a JSON object with {said}.", row)
        column = name or str(rest[0])
        reason = explain(error["type"], column, self._features.get(column))
        return TableFault(reason, row, shorten(column))


class _InstancesReader(_Reader):
    def read(self, at: int) -> tuple[list[Any], int]:
        """Batches, and where the list is over."""
        batches: list[Any] = []
        rows = 0
        text = ArrayText(self._body, at, guess_object)
        for instances in text:
            self._limits.check_rows(rows + len(instances))
            columns = self._pick(instances) or self._pick_checked(instances, rows)
            if columns:
                batches.append(pa.RecordBatch.from_arrays(columns, schema=self.schema))
            rows += len(instances)
        return batches, text.end

    def _pick(self, instances: list[Any]) -> list[Any] | None:
        """A column for each feature; None where there is anything to be said of an instance."""
        columns = []
        known = 0  # names in all instances
        try:
            for name, feature in self._features.items():
                if feature.nullable:
                    columns.append([instance.get(name) for instance in instances])
                    known += sum(name in instance for instance in instances)
                else:
                    columns.append([instance[name] for instance in instances])
                    known += len(instances)
        except (TypeError, KeyError, AttributeError):
            return None
        return None if sum(map(len, instances)) > known else self._put_together(columns)

    def _pick_checked(self, instances: list[Any], before: int) -> list[Any] | None:
        checked = self._check(self._instance_type, instances, before)
        rows = (instance.__dict__.values() for instance in checked)
        return self._put_together(zip(*rows, strict=True)) if checked else None

    def _put_together(self, columns: Iterable[Any]) -> list[Any] | None:
        cells = list(map(_to_cells, columns, self._features.values()))
        return None if any(it is None for it in cells) else cells


class _ColumnsReader(_Reader):
    def read(self, at: int) -> tuple[list[Any], int]:
        """Batches, and where the object is over."""
        columns: dict[str, Any] = {}
        empty = _EMPTY.match(self._body, at)
        at = empty.end() if empty else self._read_columns(at, columns)
        missing = [name for name, it in self._features.items() if not it.nullable]
        self.faults.add(
            [
                TableFault(explain("missing", name), None, shorten(name))
                for name in missing
                if name not in columns
            ]
        )
        self.faults.raise_any()
        return self._put_together(columns), at

    def _read_columns(self, at: int, columns: dict[str, Any]) -> int:
        while True:
            at = self._read_column(at, columns)
            after = _NEXT.match(self._body, at)
            if after is None:
                raise _no_table(self._body)
            at = after.end()
            if after[1] == b"}":
                return at

    def _read_column(self, at: int, columns: dict[str, Any]) -> int:
        """Where the list of the column is over."""
        start = _NAME.match(self._body, at)
        if start is None or not self._body.startswith(b"[", start.end()):
            raise _no_table(self._body)
        try:
            name: str = from_json(start[1])
        except ValueError as error:
            raise MalformedBody(f"{error}. {SHAPE}") from None
        self._require_new(name, columns)
        text = ArrayText(self._body, start.end() + 1, guess_value)
        columns[name] = [it for it in self._read_values(text, name) if it is not None]
        return text.end

    def _require_new(self, name: str, columns: dict[str, Any]) -> None:
        if name in columns:
            said = f"There are two columns {shorten(name)}."
            self.faults.add([TableFault(said, None, shorten(name))])
        elif name not in self._features:
            self.faults.add([TableFault(explain("extra_forbidden", name), None, shorten(name))])
        if len(columns) > len(self._features) + MAX_EXTRA_COLUMNS:
            self.faults.raise_any()

    def _read_values(self, text: ArrayText, name: str) -> Iterator[Any]:
        feature = self._features.get(name)
        rows = 0
        for values in text:
            self._limits.check_rows(rows + len(values))
            cells = _to_cells(values, feature) if feature else None
            if feature and cells is None:
                cells = _to_cells(self._check(type_of(feature), values, rows, name), feature)
            yield cells
            rows += len(values)

    def _put_together(self, columns: dict[str, Any]) -> list[Any]:
        lengths = {name: sum(map(len, cells)) for name, cells in columns.items()}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise InvalidTable([TableFault(f"The columns differ in length: {shorten(said)}.")])
        rows = next(iter(lengths.values()), 0)
        arrays = [
            pa.concat_arrays(columns[field.name])
            if field.name in columns
            else pa.nulls(rows, field.type)
            for field in self.schema
        ]
        return [pa.RecordBatch.from_arrays(arrays, schema=self.schema)]


def _to_cells(values: Any, feature: Feature) -> Any:
    """None where one of them is no value of the feature, or may be one that only looks so."""
    is_number = feature.type == "number"
    if is_number and bool in set(map(type, values)):  # which Arrow takes for 1 and 0
        return None
    try:
        cells = pa.array(values, KINDS[feature.type])
    except (pa.ArrowException, OverflowError):
        return None
    is_missing = cells.null_count and not feature.nullable
    is_infinite = is_number and pc.all(pc.is_finite(cells)).as_py() is False
    return None if is_missing or is_infinite else cells
