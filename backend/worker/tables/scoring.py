"""Scores a table: first all of it is looked at, then it is answered a chunk at a time."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from batch.media import Format
from errors import InvalidTable, MalformedTable, TableFault, shorten
from worker.estimator import Estimator
from worker.exchange import Array
from worker.tables.answers import Answers, Scored
from worker.tables.columnar import open_arrow, open_parquet
from worker.tables.columns import Columns, Faults
from worker.tables.csv_tables import open_csv
from worker.tables.json_tables import open_json
from worker.tables.tables import Limits, Source, Table
from worker.tables.writers import (
    Pieces,
    Writer,
    write_arrow,
    write_columns,
    write_csv,
    write_parquet,
    write_predictions,
)

KEPT_BYTES = 64 * 1024**2  # of a table, and as much of it in numbers: it need not be read again

OPENERS: dict[Format, Callable[[Source, int, Limits], Table]] = {
    Format.ARROW: open_arrow,
    Format.CSV: open_csv,
    Format.PARQUET: open_parquet,
}
WRITERS: dict[Format, Writer] = {
    Format.ARROW: write_arrow,
    Format.CSV: write_csv,
    Format.JSON: write_predictions,
    Format.PARQUET: write_parquet,
}

# A chunk of rows, and what the model is asked, of shape (n, f).
Read = tuple[Any, Array]


class Job(NamedTuple):
    """What is asked of a model, and in which formats."""

    model: Estimator
    sent: Format
    wanted: Format
    limits: Limits
    counter: Any  # with `add`, for the rows of a chunk and their answers


def score(body: memoryview, job: Job) -> Pieces:
    """The answer, once every row has been found right; not made before it is asked for."""
    if not body:
        raise MalformedTable("The body is empty. Send a table.")
    table, write = _open(body, job)
    answers = Answers(job.model, job.counter)
    columns = Columns(job.model.description.features, table.schema, table.is_text)
    schema = plan(table.schema, columns, answers, job.wanted)
    chunks = _read_twice(table, columns, job.limits, len(answers.names))
    rows = (Scored(_fit(chunk, schema, columns), answers.ask(X)) for chunk, X in chunks)
    return write(rows, answers, schema)


def plan(sent: Any, columns: Columns, answers: Answers, wanted: Format) -> Any:
    """The schema of the rows as they are written; raises InvalidTable if there is none."""
    if wanted not in (Format.CSV, Format.JSON):
        sent = columns.convert(_make_empty(sent)).schema
    _require_writable(sent, answers, wanted)
    return sent


def _open(body: memoryview, job: Job) -> tuple[Table, Writer]:
    write = WRITERS[job.wanted]
    if job.sent is not Format.JSON:
        features = len(job.model.description.features)
        source = partial(pa.BufferReader, pa.py_buffer(body))
        return OPENERS[job.sent](source, features, job.limits), write
    table, in_columns = open_json(bytes(body), job.model, job.limits)
    is_same = in_columns and job.wanted is Format.JSON
    return table, write_columns if is_same else write


def _read_twice(table: Table, columns: Columns, limits: Limits, more: int) -> Iterable[Read]:
    """Look at all chunks, then give them, from memory if the table is small.

    Raises InvalidTable for the first faults of all rows, or if there is none.
    """
    faults = Faults()
    rows = size = 0
    kept: list[Read] = []
    for chunk in table.chunks(limits, more):
        columns.find_faults(chunk, faults, rows)
        faults.raise_many()
        rows += chunk.num_rows
        size += chunk.nbytes
        if size <= KEPT_BYTES:
            kept.append((chunk, columns.to_array(chunk)))
    faults.raise_any()
    if not rows:
        raise InvalidTable([TableFault("The table has no rows. Send at least one.")])
    if size <= KEPT_BYTES:
        return kept
    return ((chunk, columns.to_array(chunk)) for chunk in table.chunks(limits, more))


def _fit(chunk: Any, schema: Any, columns: Columns) -> Any:
    return chunk if chunk.schema.types == schema.types else columns.convert(chunk)


def _make_empty(schema: Any) -> Any:
    return pa.RecordBatch.from_arrays([pa.nulls(0, kind) for kind in schema.types], schema=schema)


def _require_writable(schema: Any, answers: Answers, wanted: Format) -> None:
    """Raises InvalidTable for columns that the answer has no place for."""
    if wanted is Format.JSON:
        return
    faults = Faults()
    faults.add_columns(
        (it, f"{shorten(it)} is a column of the answer. Rename or drop it.")
        for it in answers.names
        if it in schema.names
    )
    said = f"which {wanted} does not hold. Drop it, or accept another type."
    faults.add_columns(
        (it.name, f"{shorten(it.name)} is of type {shorten(str(it.type))}, {said}")
        for it in schema
        if not _is_writable(it, wanted)
    )
    faults.raise_any()


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
