"""Opens Arrow streams and Parquet files."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from batch.parquet_pages import size_parquet
from batch.tables import CHUNK_BYTES, Batches, Limits, Table, count_rows, readable, require_columns
from batch.unpacking import size_arrow


def open_arrow(body: bytes, features: int, limits: Limits) -> Table:
    source = pa.py_buffer(body)
    with readable("Arrow stream"):
        schema = pa.ipc.open_stream(source).schema
        require_columns(schema, features)
        limits.check(size_arrow(source))
    return Table(schema, partial(_read_arrow, source))


def _read_arrow(source: Any) -> Batches:
    options = pa.ipc.IpcReadOptions(
        use_threads=False, ensure_alignment=pa.ipc.Alignment.DataTypeSpecific
    )
    with readable("Arrow stream"), pa.ipc.open_stream(source, options=options) as batches:
        for batch in batches:
            batch.validate(full=True)  # its offsets are the caller's
            yield batch


def open_parquet(body: bytes, features: int, limits: Limits) -> Table:
    with readable("Parquet file"):
        size = size_parquet(body)  # before pyarrow reads headers, which may end the process
        file = pq.ParquetFile(pa.BufferReader(body))
        require_columns(file.schema_arrow, features)
        limits.check(size)
        texts = [
            column.name
            for column in map(file.schema.column, range(len(file.schema_arrow)))
            if column.physical_type == "BYTE_ARRAY"
        ]
        read = partial(pq.ParquetFile, read_dictionary=texts, pre_buffer=False)
        kept = read(pa.BufferReader(body)).schema_arrow
    schema = pa.schema(
        [
            now if pa.types.is_dictionary(field.type) else field
            for field, now in zip(file.schema_arrow, kept, strict=True)
        ],
        file.schema_arrow.metadata,
    )
    return Table(schema, partial(_read_parquet, body, read))


def _read_parquet(body: bytes, read: Callable[[Any], Any]) -> Batches:
    with readable("Parquet file"):
        file = read(pa.BufferReader(body))
        width = sum(map(_width, file.schema_arrow.types))
        rows = max(1, min(count_rows(len(file.schema_arrow)), CHUNK_BYTES // (width + 1)))
        for batch in file.iter_batches(rows, use_threads=False):
            batch.validate(full=True)
            yield batch


def _width(kind: Any) -> int:
    """Bytes of a cell, where all have the same."""
    try:
        return int(kind.bit_width) // 8
    except ValueError:
        return 0
