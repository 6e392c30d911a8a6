"""Scores a table: first all of it is looked at, then it is answered a chunk at a time."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from batch.media import Format
from errors import InvalidTable, MalformedTable, TableFault, shorten
from worker.estimator import Estimator
from worker.tables.answers import Answers, Scored
from worker.tables.columnar import open_arrow, open_parquet
from worker.tables.columns import SHOWN_FAULTS, Columns, Faults
from worker.tables.csv_tables import open_csv
from worker.tables.json_tables import open_json
from worker.tables.tables import Batches, Limits, Table
from worker.tables.writers import (
    Pieces,
    Writer,
    write_arrow,
    write_columns,
    write_csv,
    write_parquet,
    write_predictions,
)

OPENERS: dict[Format, Callable[[bytes, int, Limits], Table]] = {
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


class Job(NamedTuple):
    """What is asked of a model, and in which formats."""

    model: Estimator
    sent: Format
    wanted: Format
    limits: Limits
    counter: Any  # with `add`, for the rows of a chunk and their answers


def score(body: bytes, job: Job) -> Pieces:
    """The answer, once every row has been found right; not made before it is asked for."""
    if not body:
        raise MalformedTable("The body is empty. Send a table.")
    table, write = _open(body, job)
    answers = Answers(job.model, job.counter)
    columns = Columns(job.model.description.features, table.schema, table.is_text)
    schema = table.schema
    if job.wanted not in (Format.CSV, Format.JSON):
        schema = columns.convert(_make_empty(schema)).schema
    _require_writable(schema, answers, job.wanted)

    def read() -> Batches:
        return table.chunks(job.limits, len(answers.names))

    _check(read(), columns)

    def answer() -> Iterator[Scored]:
        for chunk in read():
            yield Scored(_fit(chunk, schema, columns), answers.ask(columns.to_array(chunk)))

    return write(answer(), answers, schema)


def _open(body: bytes, job: Job) -> tuple[Table, Writer]:
    write = WRITERS[job.wanted]
    if job.sent is not Format.JSON:
        features = len(job.model.description.features)
        return OPENERS[job.sent](body, features, job.limits), write
    table, in_columns = open_json(body, job.model, job.limits)
    is_same = in_columns and job.wanted is Format.JSON
    return table, write_columns if is_same else write


def _check(chunks: Batches, columns: Columns) -> None:
    """Raises InvalidTable for the first faults of all rows, or where there is none."""
    faults = Faults()
    rows = 0
    for chunk in chunks:
        columns.find_faults(chunk, faults, rows)
        faults.raise_many()
        rows += chunk.num_rows
    faults.raise_any()
    if not rows:
        raise InvalidTable([TableFault("The table has no rows. Send at least one.")])


def _fit(chunk: Any, schema: Any, columns: Columns) -> Any:
    return chunk if chunk.schema.types == schema.types else columns.convert(chunk)


def _make_empty(schema: Any) -> Any:
    return pa.RecordBatch.from_arrays([pa.nulls(0, kind) for kind in schema.types], schema=schema)


def _require_writable(schema: Any, answers: Answers, wanted: Format) -> None:
    """Raises InvalidTable for columns that the answer has no place for."""
    if wanted is Format.JSON:
        return
    faults = [
        TableFault(f"{shorten(name)} is a column of the answer. Rename or drop it.", None, name)
        for name in answers.names
        if name in schema.names
    ]
    faults += [
        TableFault(
            f"{shorten(field.name)} is of type {shorten(str(field.type))}, "
            f"which {wanted} does not hold. Drop it, or accept another type.",
            None,
            shorten(field.name),
        )
        for field in schema
        if not _is_writable(field, wanted)
    ]
    if faults:
        raise InvalidTable(faults[:SHOWN_FAULTS], more=len(faults[SHOWN_FAULTS:]))


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
