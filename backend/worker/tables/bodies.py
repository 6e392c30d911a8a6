"""Scores a table that came in one message: all of it is looked at before any of it is answered."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from errors import shorten
from worker.exchange import Array
from worker.media import Format
from worker.tables.answers import Answers, Scored
from worker.tables.columns import BadRows, Columns, Faults
from worker.tables.opening import TableBody, open_table
from worker.tables.table import Table
from worker.tables.writers import WRITERS, Pieces, write_columns

KEPT_BYTES = 64 * 1024**2  # of a table, and as much of it in numbers: it need not be read again


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


def _read_twice(table: Table, columns: Columns, answers: Answers) -> Iterable[Chunk]:
    """Look at all chunks, then give them again; the answers get the warnings.

    A small table is kept in memory. Raises InvalidTable for the first faults, or if it has no rows.
    """
    faults, more = Faults(), len(answers.names)
    rows = size = 0
    kept: list[Chunk] = []
    for sent, is_data in _list_chunks(table, more):
        faults.add_rows(leave_out(columns.find_bad(sent), is_data), rows)
        answers.warn_of(columns.read_cells(sent), is_data)
        rows += sent.num_rows
        size += sent.nbytes
        if size <= KEPT_BYTES:
            kept.append(_make_chunk(columns, sent, is_data))
    faults.raise_any()
    table.require_data(rows)
    if size <= KEPT_BYTES:
        return kept
    return (_make_chunk(columns, *it) for it in _list_chunks(table, more))


def _list_chunks(table: Table, more: int) -> Iterator[tuple[Any, Array | None]]:
    """Each with a mask of its rows that are data."""
    rows = 0
    for sent in table.chunks(more):
        yield sent, table.mask_data(rows, sent.num_rows)
        rows += sent.num_rows


def leave_out(bad: list[BadRows], is_data: Array | None) -> list[BadRows]:
    """Rows that are no data cannot be bad."""
    if is_data is None:
        return bad
    return [it._replace(rows=it.rows[is_data[it.rows]]) for it in bad]


def _make_chunk(columns: Columns, sent: Any, is_data: Array | None) -> Chunk:
    X = columns.to_array(sent)
    return Chunk(sent, X if is_data is None else X[is_data], is_data)


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
