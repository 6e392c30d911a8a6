"""Tells from the headers in a Parquet file how large its pages are once they are unpacked.

They are read here, not by pyarrow: it ends the process at some that are broken, and it gives the
sizes that the footer says there are, which may be other than those of the pages. The format is
that of parquet.thrift, in Thrift's compact protocol.
"""

from collections.abc import Iterator
from typing import Any

from errors import MalformedTable, TableTooLarge
from worker.tables.unpacking import Unpacked

MAX_FOOTER_BYTES = 2 * 1024**2
MAX_DEPTH = 8
MAX_GROUPS = 30  # of columns, one in another; pyarrow's own limit is its stack
MAGIC = b"PAR1"
END_BYTES = 8  # the length of the footer, and that

BOOLEANS, INTEGERS, TEXT, LISTS, STRUCT = (1, 2), (4, 5, 6), 8, (9, 10), 12
I32, I64, LIST = 5, 6, 9
SIZES = {3: 1, 7: 8}  # of a byte and a double
LONG_LIST = 15

# The fields that are read here, by number and type: of another type, pyarrow passes them over.
SCHEMA, ROW_GROUPS, ROW_COUNT = (2, LIST), (4, LIST), (3, I64)
CHILDREN = (5, I32)
COLUMNS, COLUMN_DATA = (1, LIST), (3, STRUCT)
VALUES, PACKED_BYTES, DATA_AT, DICTIONARY_AT = (5, I64), (7, I64), (9, I64), (11, I64)
PAGE_UNPACKED, PAGE_PACKED = (2, I32), (3, I32)
# By the header of the kind of page.
ENCODING_IN = {(5, STRUCT): (2, I32), (7, STRUCT): (2, I32), (8, STRUCT): (4, I32)}
DELTA_BYTE_ARRAY = 7

Struct = dict[tuple[int, int], Any]


def size_parquet(body: bytes) -> Unpacked:
    """Raises MalformedTable or TableTooLarge."""
    try:
        return _size(body)
    except (LookupError, TypeError, AttributeError):  # of what is not there, or something else
        raise MalformedTable("A header in the Parquet file cannot be read.") from None


def _size(body: bytes) -> Unpacked:
    if body[-4:] != MAGIC:
        raise MalformedTable("The body is no Parquet file that can be read: its end is not there.")
    size = int.from_bytes(body[-END_BYTES:-4], "little")
    if size > MAX_FOOTER_BYTES:
        raise TableTooLarge(f"The footer is larger than {MAX_FOOTER_BYTES} bytes.")
    footer, _ = _read_struct(body, len(body) - END_BYTES - size)
    _require_shallow(footer[SCHEMA])
    columns = [column[COLUMN_DATA] for group in footer[ROW_GROUPS] for column in group[COLUMNS]]
    packed = [column[PACKED_BYTES] for column in columns]
    if min(packed, default=0) < 0 or sum(packed) > len(body):  # looked at again and again
        raise MalformedTable("Columns of the Parquet file have the same pages.")
    total = at_once = 0
    for group in footer[ROW_GROUPS]:
        largest = 0
        for column in group[COLUMNS]:
            pages = list(_size_pages(body, column[COLUMN_DATA]))
            total += sum(pages)
            largest += max(pages, default=0)
        at_once = max(at_once, largest)
    return Unpacked(footer[ROW_COUNT], total, at_once)


def _require_shallow(schema: list[Struct]) -> None:
    left: list[int] = []  # of the groups that are open, the columns to come
    for element in schema:
        while left and left[-1] <= 0:
            left.pop()
        if left:
            left[-1] -= 1
        if children := element.get(CHILDREN):
            left.append(children)
        if len(left) > MAX_GROUPS:
            raise MalformedTable("The columns of the Parquet file are nested too deep.")


def _size_pages(body: bytes, column: Struct) -> Iterator[int]:
    if not column[VALUES]:
        return
    at = column[DATA_AT]
    if 0 < (dictionary := column.get(DICTIONARY_AT, 0)) < at:
        at = dictionary
    end = at + column[PACKED_BYTES]
    headers = memoryview(body)[: max(0, end)]  # or those of many columns could reach over all of it
    while 0 <= at < end:
        page, at = _read_struct(headers, at)
        if page[PAGE_PACKED] < 0 or page[PAGE_UNPACKED] < 0:
            raise MalformedTable("A page of the Parquet file does not say how large it is.")
        if DELTA_BYTE_ARRAY in _find_encodings(page):
            # A few bytes of it may stand for any number of megabytes.
            raise MalformedTable("A column is encoded as DELTA_BYTE_ARRAY. Write it as PLAIN.")
        at += page[PAGE_PACKED]
        yield page[PAGE_UNPACKED]


def _find_encodings(page: Struct) -> Iterator[Any]:
    for number, encoding in ENCODING_IN.items():
        if isinstance(header := page.get(number), dict):
            yield header.get(encoding)


def _read_struct(body: bytes | memoryview, at: int, depth: int = 0) -> tuple[Struct, int]:
    """And where it ends; texts are skipped."""
    if depth > MAX_DEPTH:
        raise MalformedTable("A header in the Parquet file is nested too deep.")
    fields: Struct = {}
    number = 0
    while head := body[at]:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = _read_integer(body, at)
        field = number, head & 15
        if field in fields:
            raise MalformedTable("A header in the Parquet file says something twice.")
        fields[field], at = _read_value(body, at, head & 15, depth)
    return fields, at + 1


def _read_value(body: bytes | memoryview, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in BOOLEANS:  # which are their types
        return None, at
    if kind in INTEGERS:
        return _read_integer(body, at)
    if kind == TEXT:
        size, at = _read_varint(body, at)
        return None, at + size
    if kind in LISTS:
        return _read_list(body, at, depth)
    if kind == STRUCT:
        return _read_struct(body, at, depth + 1)
    if kind in SIZES:
        return None, at + SIZES[kind]
    raise MalformedTable("A header in the Parquet file cannot be read.")


def _read_list(body: bytes | memoryview, at: int, depth: int) -> tuple[list[Any], int]:
    if depth > MAX_DEPTH:
        raise MalformedTable("A header in the Parquet file is nested too deep.")
    size, kind = body[at] >> 4, body[at] & 15
    at += 1
    if size == LONG_LIST:
        size, at = _read_varint(body, at)
    if size > min(MAX_FOOTER_BYTES, len(body) - at):  # each takes a byte or more
        raise MalformedTable("A list in a header of the Parquet file is too long.")
    if kind in BOOLEANS:  # a byte each, where they are in a list
        return [], at + size
    values = []
    for _ in range(size):
        value, at = _read_value(body, at, kind, depth + 1)
        values.append(value)
    return values, at


def _read_integer(body: bytes | memoryview, at: int) -> tuple[int, int]:
    value, at = _read_varint(body, at)
    return (value >> 1) ^ -(value & 1), at


def _read_varint(body: bytes | memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        value |= (body[at] & 127) << shift
        at += 1
        if not body[at - 1] & 128:
            return value, at
    raise MalformedTable("A number in the Parquet file is too long.")
