"""Opens JSON tables: a list of instances, or a list of values for each feature."""

from codecs import BOM_UTF8
from collections.abc import Iterable
from functools import partial
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from errors import InvalidTable, MalformedBody, MalformedTable, TableFault, shorten
from features.instances import InstanceReader, explain, explain_json, type_of
from schemas import Feature
from worker.opened_model import OpenedModel
from worker.tables.cells import KINDS
from worker.tables.columns import SHOWN_FAULTS, Faults
from worker.tables.table import Limits, Table

AT_ONCE = 1024  # elements; each of them can have a fault for each of its keys
MAX_EXTRA_KEYS = 100  # of an instance, which says of each that it is unknown

SHAPE = 'Send one JSON object, {"instances": [{…}, …]} or {"columns": {"name": […], …}}.'


def open_json(body: bytes, model: OpenedModel, limits: Limits) -> tuple[Table, bool]:
    """The features, kept whole, and whether they came as columns.

    Raises MalformedBody, MalformedTable, InvalidTable or TableTooLarge.
    """
    try:
        content = from_json(body.lstrip(BOM_UTF8), cache_strings="keys")
    except ValueError as error:
        raise MalformedBody(f"The body is not JSON: {error}. {SHAPE}") from None
    reader = _Reader(model, limits)
    match content:
        case {"instances": list(instances), **others} if not others:
            batches = reader.read_instances(instances)
        case {"columns": dict(columns), **others} if not others and _are_lists(columns):
            batches = reader.read_columns(columns)
        case _:
            raise InvalidTable([TableFault(SHAPE)])
    return Table(reader.schema, partial(iter, batches), limits), "columns" in content


def _are_lists(columns: dict[str, Any]) -> bool:
    return all(isinstance(values, list) for values in columns.values())


class _Reader:
    """Makes batches of what was sent, and keeps account of what is wrong with it."""

    def __init__(self, model: OpenedModel, limits: Limits) -> None:
        self._limits = limits
        self._faults = Faults()
        self._features = {feature.name: feature for feature in model.description.features}
        self._instance_type = InstanceReader(model.description.features).type
        kinds = [KINDS[feature.type] for feature in self._features.values()]
        self.schema = pa.schema(list(zip(self._features, kinds, strict=True)))

    def read_instances(self, instances: list[Any]) -> list[Any]:
        """Raises InvalidTable, MalformedTable or TableTooLarge."""
        self._limits.check(len(instances))
        batches = []
        for start in range(0, len(instances), AT_ONCE):
            some = instances[start : start + AT_ONCE]
            if columns := self._pick(some) or self._pick_checked(some, start):
                batches.append(pa.RecordBatch.from_arrays(columns, schema=self.schema))
        self._faults.raise_any()
        return batches

    def read_columns(self, columns: dict[str, list[Any]]) -> list[Any]:
        """Raises InvalidTable or TableTooLarge."""
        unknown = [name for name in columns if name not in self._features]
        required = [name for name, feature in self._features.items() if not feature.nullable]
        missing = [name for name in required if name not in columns]
        self._faults.add_columns((name, explain("extra_forbidden", name)) for name in unknown)
        self._faults.add_columns((name, explain("missing", name)) for name in missing)
        self._faults.raise_any()
        lengths = {name: len(values) for name, values in columns.items()}
        self._limits.check(max(lengths.values(), default=0))
        arrays = {name: self._read_column(name, values) for name, values in columns.items()}
        self._faults.raise_any()
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise InvalidTable([TableFault(f"The columns differ in length: {shorten(said)}.")])
        rows = next(iter(lengths.values()), 0)
        cells = [arrays.get(field.name, pa.nulls(rows, field.type)) for field in self.schema]
        return [pa.RecordBatch.from_arrays(cells, schema=self.schema)]

    def _read_column(self, name: str, values: list[Any]) -> Any:
        """An array, shorter than the values if any of them are wrong."""
        feature = self._features[name]
        pieces = [pa.nulls(0, KINDS[feature.type])]
        for start in range(0, len(values), AT_ONCE):
            some = values[start : start + AT_ONCE]
            cells = _to_cells(some, feature)
            if cells is None:
                cells = _to_cells(self._check(type_of(feature), some, start, name), feature)
            pieces.append(cells)
        return pa.concat_arrays(pieces)

    def _pick(self, instances: list[Any]) -> list[Any] | None:
        """A column for each feature; None if there is anything to be said of an instance."""
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
        most = len(self._features) + MAX_EXTRA_KEYS
        for row, instance in enumerate(instances, before + 1):
            keys = len(instance) if isinstance(instance, dict) else 0
            if keys > most:  # a sentence for each would be too many
                raise MalformedTable(f"Instance {row} has {keys} keys. Send {most} at most.")
        checked = self._check(self._instance_type, instances, before)
        rows = (instance.__dict__.values() for instance in checked)
        return self._put_together(zip(*rows, strict=True)) if checked else None

    def _put_together(self, columns: Iterable[Any]) -> list[Any] | None:
        cells = list(map(_to_cells, columns, self._features.values()))
        return None if any(column is None for column in cells) else cells

    def _check(self, kind: Any, elements: list[Any], before: int, name: str = "") -> list[Any]:
        """Elements as pydantic has them, which takes ten times as long; none if any are wrong."""
        try:
            # As JSON again, as which an instance alone is read, to the same sentences.
            some = to_json(elements, inf_nan_mode="constants")
            checked: list[Any] = TypeAdapter(list[kind]).validate_json(some)
        except ValidationError as invalid:
            errors = invalid.errors(include_url=False, include_input=False)
            faults = (self._describe_fault(error, before, name) for error in errors)
            first = list(islice(faults, SHOWN_FAULTS))
            self._faults.add(first, len(errors) - len(first))
            self._faults.raise_many()
            return []
        return checked

    def _describe_fault(self, error: ErrorDetails, before: int, name: str) -> TableFault:
        index, *rest = error["loc"]
        row = before + int(index) + 1
        if not name and not rest:
            said = shorten(", ".join(self._features))
            return TableFault(f"It must be a JSON object with {said}.", row)
        column = name or str(rest[0])
        reason = explain_json(error["type"], column, self._features.get(column))
        return TableFault(reason, row, shorten(column))


def _to_cells(values: Any, feature: Feature) -> Any:
    """None if one of them is no value of the feature, or may be one that only looks so."""
    is_number = feature.type == "number"
    if is_number and bool in set(map(type, values)):  # which Arrow takes for 1 and 0
        return None
    try:
        cells = pa.array(values, KINDS[feature.type])
    except (pa.ArrowException, OverflowError):
        return None
    is_missing = cells.null_count and not feature.may_be_missing
    is_infinite = is_number and pc.all(pc.is_finite(cells)).as_py() is False
    return None if is_missing or is_infinite else cells
