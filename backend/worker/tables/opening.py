"""Opens a table that came in one message, in whatever format."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pyarrow as pa

from errors import InvalidTable, MalformedTable, TableFault, shorten
from worker.media import Format
from worker.opened_model import OpenedModel
from worker.tables.binary_tables import open_arrow, open_parquet
from worker.tables.columns import Faults
from worker.tables.csv_tables import open_csv
from worker.tables.json_tables import open_json
from worker.tables.table import Limits, Opener, Table, readable
from worker.tables.workbooks import open_workbook

MAX_EXTRA_COLUMNS = 1000

READERS: dict[Format, Callable[[Opener, Limits], Table]] = {
    Format.ARROW: open_arrow,
    Format.PARQUET: open_parquet,
}


class TableBody(NamedTuple):
    """The bytes of a table, the formats of it and of its answer, and the sheet of a workbook."""

    content: memoryview
    sent: Format
    wanted: Format
    limits: Limits
    sheet: str | None = None


def open_table(body: TableBody, model: OpenedModel) -> tuple[Table, bool]:
    """The table, and whether it is JSON of columns; raises what its reader does."""
    if not body.content:
        raise MalformedTable("The body is empty. Send a table.")
    table, in_columns = _open(body, model)
    _require_plain(table.schema, len(model.description.features))
    return table, in_columns


def _open(body: TableBody, model: OpenedModel) -> tuple[Table, bool]:
    if body.sent is Format.JSON:
        return open_json(bytes(body.content), model, body.limits)
    if body.sent is Format.CSV:
        return open_csv(body.content, body.limits, model.description), False
    if body.sent is Format.XLSX:
        return open_workbook(body.content, body.limits, model.description, body.sheet), False
    opener = partial(pa.BufferReader, pa.py_buffer(body.content))
    return READERS[body.sent](opener, body.limits), False


def _require_plain(schema: Any, features: int) -> None:
    """Raises InvalidTable for columns that no table can have here, whatever the model."""
    if len(schema) > features + MAX_EXTRA_COLUMNS:
        said = f"More than {MAX_EXTRA_COLUMNS} columns beside the features are not taken."
        raise InvalidTable([TableFault(said)])
    faults = Faults()
    held = "Columns hold numbers, booleans, text or times: drop it."
    with readable("table"):  # names need not be text
        faults.add_columns(
            (field.name, f"{shorten(field.name)} is of type {shorten(str(field.type))}. {held}")
            for field in schema
            if not _is_plain(field.type)
        )
    faults.raise_any()


def _is_plain(kind: Any) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    types = pa.types
    is_nested = types.is_nested(kind) or types.is_run_end_encoded(kind)
    is_odd = types.is_dictionary(kind) or isinstance(kind, pa.BaseExtensionType)
    return not (is_nested or is_odd or types.is_interval(kind))
