"""Tells how large a table is once it is unpacked, before it is."""

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from errors import MalformedTable

# Arrow's Message.fbs: the slots of the fields that are read here.
MESSAGE_HEADER, MESSAGE_METADATA = 2, 4
BATCH_LENGTH, BATCH_BUFFERS, BATCH_COMPRESSION = 0, 2, 3
DICTIONARY_DATA = 1

VIEW_BYTES = 16  # of a view, the first four of which are the length
COMPRESSED_HEAD = 8  # bytes, which say how many there will be


class Unpacked(NamedTuple):
    """Rows, bytes in all, and bytes that have to be in memory at once."""

    rows: int
    total: int
    at_once: int


def size_arrow(source: Any) -> Unpacked:
    """Of an Arrow stream; raises pyarrow's errors, struct.error or IndexError for a broken one."""
    rows = total = at_once = dictionaries = 0
    for message in pa.ipc.MessageReader.open_stream(source):
        if message.type == "schema":
            continue
        length, size = _size_message(message)
        if message.type == "dictionary":
            dictionaries += size
            total += dictionaries  # a dictionary that grows is put together anew each time
        else:
            rows += length
            total += size
        at_once = max(at_once, size + dictionaries)
    return Unpacked(rows, total, at_once)


def _size_message(message: Any) -> tuple[int, int]:
    """Rows and bytes of a batch, be it of rows or of a dictionary."""
    data = memoryview(message.metadata)
    if _field(data, _follow(data, 0), MESSAGE_METADATA):
        # An older way to say that it is compressed, which would not be seen below.
        raise MalformedTable("A batch of the Arrow stream has metadata of its own. Leave them out.")
    batch = _follow(data, _field(data, _follow(data, 0), MESSAGE_HEADER))
    if message.type == "dictionary":
        batch = _follow(data, _field(data, batch, DICTIONARY_DATA))
    at = _field(data, batch, BATCH_LENGTH)
    length = struct.unpack_from("<q", data, at)[0] if at else 0
    at = _field(data, batch, BATCH_BUFFERS)
    if message.body is None or not at or not _field(data, batch, BATCH_COMPRESSION):
        return length, 0 if message.body is None else message.body.size
    return length, sum(_size_buffers(data, _follow(data, at), memoryview(message.body)))


def _size_buffers(data: memoryview, at: int, body: memoryview) -> Iterator[int]:
    """A compressed buffer begins with its size, -1 where it is not compressed after all."""
    (count,) = struct.unpack_from("<I", data, at)
    for offset, length in struct.iter_unpack("<qq", data[at + 4 : at + 4 + 16 * count]):
        if length >= COMPRESSED_HEAD:
            (size,) = struct.unpack_from("<q", body, offset)
            yield size if size >= 0 else length


def _field(data: memoryview, table: int, slot: int) -> int:
    """Where a field of a FlatBuffers table is, 0 where it has none."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    (size,) = struct.unpack_from("<H", data, vtable)
    at = 4 + 2 * slot
    offset = struct.unpack_from("<H", data, vtable + at)[0] if at < size else 0
    return table + int(offset) if offset else 0


def _follow(data: memoryview, at: int) -> int:
    return at + int(struct.unpack_from("<I", data, at)[0])


def size_column(column: Any) -> int:
    """Bytes of the rows of a column, which may share them in a dictionary or a view."""
    if pa.types.is_dictionary(column.type):
        values = column.dictionary
        if not _has_lengths(values.type):
            return int(column.nbytes)
        lengths = pc.binary_length(values).take(column.indices)
        return len(column) * 4 + (pc.sum(lengths).as_py() or 0)
    if pa.types.is_string_view(column.type) or pa.types.is_binary_view(column.type):
        start, count = VIEW_BYTES * column.offset, VIEW_BYTES // 4 * len(column)
        views = np.frombuffer(column.buffers()[1], np.int32, count, start).reshape(len(column), -1)
        lengths = views[:, 0].astype(np.int64)  # of anything where a text is missing
        return VIEW_BYTES * len(column) + int(lengths.clip(0).sum())
    return int(column.nbytes)


def _has_lengths(kind: Any) -> bool:
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
    )
