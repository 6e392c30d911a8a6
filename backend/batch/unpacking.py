"""Tells how large a table is once it is unpacked."""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

VIEW_BYTES = 16  # of a view, the first four of which are the length


class Unpacked(NamedTuple):
    """Rows, bytes in all, and bytes that have to be in memory at once."""

    rows: int
    total: int
    at_once: int


def size_column(column: Any) -> int:
    """Bytes of the rows of a column, which may share them in a dictionary or a view."""
    if pa.types.is_dictionary(column.type):
        if not _has_lengths(column.dictionary.type):
            return int(column.nbytes)
        return len(column) * 4 + _sum_lengths(column)
    if pa.types.is_string_view(column.type) or pa.types.is_binary_view(column.type):
        start, count = VIEW_BYTES * column.offset, VIEW_BYTES // 4 * len(column)
        views = np.frombuffer(column.buffers()[1], np.int32, count, start).reshape(len(column), -1)
        lengths = views[:, 0].astype(np.int64)  # of anything where a text is missing
        return VIEW_BYTES * len(column) + int(lengths.clip(0).sum())
    return int(column.nbytes)


def _sum_lengths(column: Any) -> int:
    """Of the texts of a column's rows; its dictionary may have many more."""
    values = column.dictionary
    indices = pc.drop_null(column.indices).to_numpy().astype(np.int64)
    if not len(indices):
        return 0
    is_large = pa.types.is_large_string(values.type) or pa.types.is_large_binary(values.type)
    ends = np.frombuffer(values.buffers()[1], np.int64 if is_large else np.int32)[values.offset :]
    return int((ends[indices + 1].astype(np.int64) - ends[indices]).sum())


def _has_lengths(kind: Any) -> bool:
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
    )
