"""Scores a table that came in one message: all of it is looked at before any of it is answered."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from errors import InvalidTable, MalformedTable, TableFault, shorten
from worker.exchange import Array
from worker.media import Format
from worker.opened_model import OpenedModel
from worker.tables.answers import Answers, Scored
from worker.tables.binary_tables import open_arrow, open_parquet
from worker.tables.columns import BadRows, Columns, Faults
from worker.tables.csv_tables import open_csv
from worker.tables.json_tables import open_json
from worker.tables.table import Limits, Opener, Table, readable
from worker.tables.workbooks import open_workbook
from worker.tables.writers import WRITERS, Pieces, write_columns

MAX_EXTRA_COLUMNS = 1000
KEPT_BYTES = 64 * 1024**2  # of a table, and as much of it in numbers: it need not be read again

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


class Chunk(NamedTuple):
    """Rows that were sent, what is asked about those that are data, and a mask of these."""

    sent: Any
    X: Array
    is_data: Array | None  # None if all are


def score(body: TableBody, answers: Answers) -> Pieces:
    """The answer, once every row has been found right; not made before it is asked for."""
    table, in_columns = open_table(body, answers.model)
    is_same = in_columns and body.wanted is Format.JSON
    write = write_columns if is_same else WRITERS[body.wanted]
    description = answers.model.description
    with readable("table"):  # names need not be text
        _require_plain(table.schema, len(description.features))
    columns = Columns(description, table)
    schema = plan(table.schema, columns, answers, body.wanted)
    chunks = _read_twice(table, columns, answers)
    answers.read_as = table.read_as
    rows = (
        Scored(columns.shape(sent, body.wanted), answers.ask(X, is_data))
        for sent, X, is_data in chunks
    )
    return write(rows, answers, schema)


def plan(sent: Any, columns: Columns, answers: Answers, wanted: Format) -> Any:
    """The schema of the rows as they are written, whose names the answers leave alone.

    Raises InvalidTable for columns that the format does not hold.
    """
    schema = columns.shape(_make_empty(sent), wanted).schema
    if wanted is Format.JSON:
        return schema
    answers.make_room(schema.names)
    faults = Faults()
    said = f"which {wanted} does not hold. Drop it, or accept another type."
    faults.add_columns(
        (field.name, f"{shorten(field.name)} is of type {shorten(str(field.type))}, {said}")
        for field in schema
        if not _is_writable(field, wanted)
    )
    faults.raise_any()
    return schema


def open_table(body: TableBody, model: OpenedModel) -> tuple[Table, bool]:
    """The table, and whether it is JSON of columns; raises what its reader does."""
    if not body.content:
        raise MalformedTable("The body is empty. Send a table.")
    if body.sent is Format.JSON:
        return open_json(bytes(body.content), model, body.limits)
    if body.sent is Format.CSV:
        return open_csv(body.content, body.limits, model.description), False
    if body.sent is Format.XLSX:
        return open_workbook(body.content, body.limits, model.description, body.sheet), False
    opener = partial(pa.BufferReader, pa.py_buffer(body.content))
    return READERS[body.sent](opener, body.limits), False


def _read_twice(table: Table, columns: Columns, answers: Answers) -> Iterable[Chunk]:
    """Look at all chunks, then give them again; the answers get the warnings.

    A small table is kept in memory. Raises InvalidTable for the first faults, or if it has no rows.
    """
    faults, more = Faults(), len(answers.names)
    rows = size = 0
    kept: list[Chunk] = []
    for sent, is_data in _list_chunks(table, more):
        faults.add_rows(_leave_out(columns.find_bad(sent), is_data), rows)
        answers.warn_of(columns.read_cells(sent), is_data)
        rows += sent.num_rows
        size += sent.nbytes
        if size <= KEPT_BYTES:
            kept.append(_make_chunk(columns, sent, is_data))
    faults.raise_any()
    if rows <= len(table.no_data):
        raise InvalidTable([TableFault("The table has no rows. Send at least one.")])
    if size <= KEPT_BYTES:
        return kept
    return (_make_chunk(columns, *it) for it in _list_chunks(table, more))


def _list_chunks(table: Table, more: int) -> Iterator[tuple[Any, Array | None]]:
    """Each with a mask of its rows that are data."""
    rows = 0
    for sent in table.chunks(more):
        yield sent, table.mask_data(rows, sent.num_rows)
        rows += sent.num_rows


def _leave_out(bad: list[BadRows], is_data: Array | None) -> list[BadRows]:
    """Rows that are no data cannot be bad."""
    if is_data is None:
        return bad
    return [it._replace(rows=it.rows[is_data[it.rows]]) for it in bad]


def _make_chunk(columns: Columns, sent: Any, is_data: Array | None) -> Chunk:
    X = columns.to_array(sent)
    return Chunk(sent, X if is_data is None else X[is_data], is_data)


def _require_plain(schema: Any, features: int) -> None:
    """Raises InvalidTable for columns that no table can have here, whatever the model."""
    if len(schema) > features + MAX_EXTRA_COLUMNS:
        said = f"More than {MAX_EXTRA_COLUMNS} columns beside the features are not taken."
        raise InvalidTable([TableFault(said)])
    faults = Faults()
    held = "Columns hold numbers, booleans, text or times: drop it."
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


def _make_empty(schema: Any) -> Any:
    return pa.RecordBatch.from_arrays([pa.nulls(0, kind) for kind in schema.types], schema=schema)


def _is_writable(field: Any, wanted: Format) -> bool:
    empty = _make_empty(pa.schema([field]))
    try:
        if wanted is Format.CSV:
            _sample(field.type).cast(pa.string())
            return "binary" not in str(field.type)  # which need not be text
        if wanted is Format.PARQUET:
            with pq.ParquetWriter(pa.BufferOutputStream(), empty.schema) as file:
                file.write_batch(empty)
    except (pa.ArrowException, OSError):
        return False
    return True


def _sample(kind: Any) -> Any:
    """With a value where it can be had, as a time zone is looked up for one alone."""
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.array([0], plain) if pa.types.is_timestamp(plain) else pa.nulls(1, kind)
