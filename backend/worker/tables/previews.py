"""Shows how a table is read, before it is answered."""

from typing import Any

import pyarrow as pa
from pydantic_core import to_json

from worker.opened_model import OpenedModel
from worker.tables.opening import TableBody, open_table
from worker.tables.table import readable

HEAD_ROWS = 10
MOST_CHARACTERS = 1000  # of a cell


def show(body: TableBody, model: OpenedModel) -> bytes:
    """JSON, once all rows have been counted; raises what opening and reading a table does."""
    table, _ = open_table(body, model)
    rows = 0
    head: list[list[str | None]] = []
    for chunk in table.chunks():
        head += _list_rows(chunk.slice(0, HEAD_ROWS - len(head)))
        rows += chunk.num_rows
    if not table.sheets:  # an empty sheet is shown, so that another can be chosen
        table.require_data(rows)
    names = table.schema.names
    shown: dict[str, Any] = {"read_as": table.read_as or None, "rows": rows, "columns": names}
    needed = [feature.name for feature in model.description.features]
    shown |= {"head": head, "missing": [name for name in needed if name not in names]}
    if table.sheets:
        shown["sheets"] = table.sheets
    return to_json(shown)


def _list_rows(chunk: Any) -> list[list[str | None]]:
    with readable("table"):
        columns = [_to_texts(column) for column in chunk.columns]
    rows = zip(*columns, strict=True)
    return [[text and text[:MOST_CHARACTERS] for text in row] for row in rows]


def _to_texts(column: Any) -> list[str | None]:
    column = getattr(column, "storage", column)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if "binary" in str(column.type):  # which need not be text
        return [None if cell is None else repr(cell) for cell in column.to_pylist()]
    try:
        texts = column.cast(pa.string())
    except pa.ArrowException:  # spans of time, and moments of zones that are not known here
        texts = column.cast(pa.int64()).cast(pa.string())
    found: list[str | None] = texts.to_pylist()
    return found
