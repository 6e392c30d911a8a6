"""Tells from the messages of an Arrow stream how large it is once it is unpacked.

They are read here, not by pyarrow: places in a message may coincide, so that a few bytes stand for
any number of columns or texts, of each of which it makes an object. The format is that of Arrow's
Message.fbs and Schema.fbs, in FlatBuffers.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from errors import MalformedTable
from worker.tables.unpacking import Unpacked

CONTINUES = 0xFFFFFFFF  # before the size of a message; older writers leave it out

# The kinds of messages, and the slots of the fields that are read here.
SCHEMA, DICTIONARY = 1, 2
MESSAGE_KIND, MESSAGE_HEADER, MESSAGE_BODY_BYTES, MESSAGE_METADATA = 1, 2, 3, 4
SCHEMA_FIELDS, SCHEMA_METADATA = 1, 2
FIELD_NAME, FIELD_TYPE_NUMBER, FIELD_TYPE, FIELD_CHILDREN, FIELD_METADATA = 0, 2, 3, 5, 6
KEY, VALUE = 0, 1
BATCH_LENGTH, BATCH_BUFFERS, BATCH_COMPRESSION = 0, 2, 3
DICTIONARY_ID, DICTIONARY_DATA, DICTIONARY_IS_DELTA = 0, 1, 2

# The types that have a list or a text in a slot, and bytes of each element.
LISTS_OF_TYPES = {10: (1, 1), 14: (1, 4)}  # the zone of a timestamp, the numbers of a union
FIELD_BYTES = 28  # at least, of one that shares none with another
PAIR_BYTES = 16  # as above, of metadata
ALIGNMENT = 8
MAX_DEPTH = 30

COMPRESSED_HEAD = 8  # bytes, which say how many there will be


class _Message(NamedTuple):
    kind: int
    data: memoryview
    header: int  # where in the data
    body: memoryview


def size_arrow(stream: bytes) -> Unpacked:
    """Raises MalformedTable, struct.error or LookupError for a broken one."""
    rows = total = at_once = held = 0
    dictionaries: dict[int, int] = {}
    for message in _read_messages(memoryview(stream)):
        if message.kind == SCHEMA:
            _require_unshared(message)
            continue
        length, size = _size_batch(message)
        if message.kind == DICTIONARY:
            number, is_delta = _read_dictionary(message)
            before = dictionaries.get(number, 0)
            # One that grows is put together anew each time.
            dictionaries[number] = size + is_delta * before
            total += dictionaries[number]
            held += dictionaries[number] - before
        else:
            rows += length
            total += size
        at_once = max(at_once, size + held)
    return Unpacked(rows, total, at_once)


def _read_dictionary(message: _Message) -> tuple[int, bool]:
    """Its id, and whether it comes to what that has already."""
    data = message.data
    at_id = _field(data, message.header, DICTIONARY_ID)
    at_delta = _field(data, message.header, DICTIONARY_IS_DELTA)
    (number,) = struct.unpack_from("<q", data, at_id) if at_id else (0,)
    return number, bool(at_delta and data[at_delta])


def _read_messages(stream: memoryview) -> Iterator[_Message]:
    at = 0
    while at < len(stream):
        size = _unsigned(stream, at)
        at += 4
        if size == CONTINUES:
            size = _unsigned(stream, at)
            at += 4
        if not size:
            break
        data = stream[at : at + size]
        message = _follow(data, 0)
        if _field(data, message, MESSAGE_METADATA):
            # An older way to say that a batch is compressed, which would not be seen below.
            raise MalformedTable("A message of the Arrow stream has metadata of its own.")
        at_kind = _field(data, message, MESSAGE_KIND)
        at_size = _field(data, message, MESSAGE_BODY_BYTES)
        (body_size,) = struct.unpack_from("<q", data, at_size) if at_size else (0,)
        at += size
        if not 0 <= body_size <= len(stream) - at:
            raise MalformedTable("The Arrow stream ends within a batch.")
        if body_size and at % ALIGNMENT:  # what pyarrow does about that trusts lengths in it
            raise MalformedTable(f"A batch of the Arrow stream is not padded to {ALIGNMENT} bytes.")
        header = _follow(data, _field(data, message, MESSAGE_HEADER))
        yield _Message(data[at_kind] if at_kind else 0, data, header, stream[at : at + body_size])
        at += body_size


def _require_unshared(schema: _Message) -> None:
    total = 0
    for size in _size_fields(schema.data, schema.header):
        total += size
        if total > len(schema.data):
            raise MalformedTable("Columns in the schema of the Arrow stream share their bytes.")


def _size_fields(data: memoryview, schema: int) -> Iterator[int]:
    yield from _size_metadata(data, schema, SCHEMA_METADATA)
    started = [_follow_all(data, schema, SCHEMA_FIELDS)]
    while started:
        field = next(started[-1], None)
        if field is None:
            started.pop()
            continue
        yield FIELD_BYTES + _count(data, field, FIELD_NAME) + _size_type(data, field)
        yield from _size_metadata(data, field, FIELD_METADATA)
        started.append(_follow_all(data, field, FIELD_CHILDREN))
        if len(started) > MAX_DEPTH:
            raise MalformedTable("The columns of the Arrow stream are nested too deep.")


def _size_metadata(data: memoryview, table: int, slot: int) -> Iterator[int]:
    for pair in _follow_all(data, table, slot):
        yield PAIR_BYTES + _count(data, pair, KEY) + _count(data, pair, VALUE)


def _size_type(data: memoryview, field: int) -> int:
    number, kind = _field(data, field, FIELD_TYPE_NUMBER), _field(data, field, FIELD_TYPE)
    if not number or not kind or data[number] not in LISTS_OF_TYPES:
        return 0
    slot, size = LISTS_OF_TYPES[data[number]]
    return size * _count(data, _follow(data, kind), slot)


def _size_batch(message: _Message) -> tuple[int, int]:
    """Rows and bytes of a batch, be it of rows or of a dictionary."""
    data, batch, body = message.data, message.header, message.body
    if message.kind == DICTIONARY:
        batch = _follow(data, _field(data, batch, DICTIONARY_DATA))
    at = _field(data, batch, BATCH_LENGTH)
    length = struct.unpack_from("<q", data, at)[0] if at else 0
    if length < 0:
        raise MalformedTable("A batch of the Arrow stream has fewer rows than none.")
    at = _field(data, batch, BATCH_BUFFERS)
    if not at:
        return length, len(body)
    is_packed = bool(_field(data, batch, BATCH_COMPRESSION))
    # They may be the same bytes over and over, and each is copied where it has to be.
    return length, max(len(body), sum(_size_buffers(data, _follow(data, at), body, is_packed)))


def _size_buffers(data: memoryview, at: int, body: memoryview, is_packed: bool) -> Iterator[int]:
    """A compressed buffer begins with its size, -1 where it is not compressed after all."""
    count = _unsigned(data, at)
    for offset, length in struct.iter_unpack("<qq", data[at + 4 : at + 4 + 16 * count]):
        if not is_packed:
            yield max(0, length)
        elif length >= COMPRESSED_HEAD:
            (size,) = struct.unpack_from("<q", body, offset)
            yield size if size >= 0 else length


def _field(data: memoryview, table: int, slot: int) -> int:
    """Where a field of a FlatBuffers table is, 0 where it has none."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    (size,) = struct.unpack_from("<H", data, vtable)
    at = 4 + 2 * slot
    offset = struct.unpack_from("<H", data, vtable + at)[0] if at < size else 0
    return table + int(offset) if offset else 0


def _count(data: memoryview, table: int, slot: int) -> int:
    """Elements of a list, or bytes of a text, in a field of a table."""
    at = _field(data, table, slot)
    return _unsigned(data, _follow(data, at)) if at else 0


def _follow_all(data: memoryview, table: int, slot: int) -> Iterator[int]:
    """Where the tables of a list in a field of a table are."""
    at = _field(data, table, slot)
    if at:
        first = _follow(data, at)
        for number in range(1, _unsigned(data, first) + 1):
            yield _follow(data, first + 4 * number)


def _follow(data: memoryview, at: int) -> int:
    return at + _unsigned(data, at)


def _unsigned(data: memoryview, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])
