"""Opens Arrow streams and Parquet files."""

from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from worker.headers import name_columns
from worker.tables.table import (
    CHUNK_BYTES,
    Batches,
    Limits,
    Opener,
    Table,
    readable,
    size_batch,
)

BUFFER_BYTES = 1024**2  # of each column of Parquet, which would be in memory whole without


def open_arrow(opener: Opener, limits: Limits) -> Table:
    """Raises MalformedTable; a stream does not say beforehand how long it is."""
    with readable("Arrow stream"):
        schema = _name_columns(pa.ipc.open_stream(opener()).schema)
    return Table(schema, partial(_read_arrow, opener, limits, schema.names), limits)


def _read_arrow(opener: Opener, limits: Limits, names: list[str]) -> Batches:
    options = pa.ipc.IpcReadOptions(use_threads=False)
    with readable("Arrow stream"), pa.ipc.open_stream(opener(), options=options) as batches:
        yield from (_validate(batch, limits, names) for batch in batches)


def open_parquet(opener: Opener, limits: Limits, groups: list[int] | None = None) -> Table:
    """All row groups or some; raises MalformedTable or TableTooLarge."""
    with readable("Parquet file"):
        file = open_file(opener)
        limits.check(file.metadata.num_rows)
        schema = _name_columns(file.schema_arrow)
    return Table(schema, partial(_read_parquet, file, limits, groups, schema.names), limits)


def open_file(opener: Opener) -> Any:
    return pq.ParquetFile(opener(), pre_buffer=False, buffer_size=BUFFER_BYTES)


def count_groups(file: Any) -> list[int]:
    """Rows of each row group."""
    return [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]


def _read_parquet(file: Any, limits: Limits, groups: list[int] | None, names: list[str]) -> Batches:
    with readable("Parquet file"):
        batches = file.iter_batches(_count_rows(file, limits), row_groups=groups, use_threads=False)
        yield from (_validate(batch, limits, names) for batch in batches)


def _count_rows(file: Any, limits: Limits) -> int:
    """Rows to read at a time, fewer if the file says that they are large."""
    groups = map(file.metadata.row_group, range(file.num_row_groups))
    size = sum(int(group.total_byte_size) for group in groups)
    row_bytes = size // max(1, int(file.metadata.num_rows))
    return max(1, min(limits.count_rows(len(file.schema_arrow)), CHUNK_BYTES // max(1, row_bytes)))


def _name_columns(schema: Any) -> Any:
    named = zip(schema, name_columns(schema.names), strict=True)
    return pa.schema([field.with_name(name) for field, name in named], schema.metadata)


def _validate(batch: Any, limits: Limits, names: list[str]) -> Any:
    """The offsets and the texts in it are the caller's; many rows may have the same text."""
    batch.validate()
    limits.check(0, size_batch(batch))
    batch.validate(full=True)
    return batch.rename_columns(names)
