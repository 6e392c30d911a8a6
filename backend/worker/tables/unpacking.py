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
        return len(column) * 4 + _size_values(column)
    if is_view(column.type):
        start, count = VIEW_BYTES * column.offset, VIEW_BYTES // 4 * len(column)
        views = np.frombuffer(column.buffers()[1], np.int32, count, start).reshape(
            -1, VIEW_BYTES // 4
        )
        lengths = views[:, 0].astype(np.int64)  # of anything where a text is missing
        return VIEW_BYTES * len(column) + int(lengths.clip(0).sum())
    return int(column.nbytes)


def size_buffers(column: Any) -> int:
    """Bytes of all that a column refers to, its dictionary too, however much of it is shared."""
    buffers = column.buffers()
    if pa.types.is_dictionary(column.type):
        buffers += column.dictionary.buffers()
    return sum(buffer.size for buffer in buffers if buffer)


def is_view(kind: Any) -> bool:
    return bool(pa.types.is_string_view(kind) or pa.types.is_binary_view(kind))


def _size_values(column: Any) -> int:
    """Bytes of the values that a column's rows have; its dictionary may have many more."""
    values = column.dictionary
    if not _has_lengths(values.type):
        bits = 0 if pa.types.is_null(values.type) else values.type.bit_width
        return len(column) * (bits // 8 + 1)
    indices = pc.drop_null(column.indices).to_numpy().astype(np.int64)
    if not len(indices):
        return 0
    is_large = pa.types.is_large_string(values.type) or pa.types.is_large_binary(values.type)
    kind = np.dtype(np.int64 if is_large else np.int32)
    start = values.offset * kind.itemsize
    ends = np.frombuffer(values.buffers()[1], kind, len(values) + 1, start)
    return int((ends[indices + 1].astype(np.int64) - ends[indices]).sum())


def _has_lengths(kind: Any) -> bool:
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
    )
