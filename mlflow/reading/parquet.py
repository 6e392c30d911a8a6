"""Reads a Parquet file: its columns keep their types."""

import re
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from errors import UnusableTable
from reading.delimited import trim
from reading.names import check_names

_LEVEL = re.compile(
    r"__index_level_\d+__"
)  # what pandas calls an index without a name, or with a column's


def read_parquet(raw: bytes) -> pd.DataFrame:
    """Return every column as it is stored, an index too, texts trimmed; raises UnusableTable."""
    try:
        table = pq.read_table(pa.BufferReader(raw))
    except (OSError, ValueError) as error:  # pyarrow's are one or the other
        message = f"The Parquet file is damaged: {str(error).strip().rstrip('.')}"
        raise UnusableTable(f"{message}. Copy it again.") from None
    table = _drop_copies(table.rename_columns(check_names(table.column_names)))
    for place, field in enumerate(table.schema):
        table = table.set_column(place, field.name, _trim_texts(table.column(place)))
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    return frame


def _drop_copies(table: Any) -> Any:
    """Leave out an index that is a column too."""
    for level in filter(_LEVEL.match, table.column_names):
        rest = table.drop_columns(level)
        if table.column(level) in rest.columns:
            table = rest
    return table


def _trim_texts(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    is_coded = pa.types.is_dictionary(cells.type)
    kind = cells.type.value_type if is_coded else cells.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return cells
    trimmed = trim(cells.cast(kind))
    return trimmed.dictionary_encode() if is_coded else trimmed
