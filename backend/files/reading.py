"""Reads the text of CSV files, which gzip may have packed, whatever encoding it is in."""

import gzip
import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from errors import CommandFailed, InvalidTable, MalformedTable
from worker.encodings import BLOCK_BYTES, UTF_8, find_encoding, recode
from worker.headers import MAX_HEADER_BYTES, Header, read_header

HEAD_BLOCKS = 3  # which have MAX_HEADER_BYTES in UTF-8, too

BYTE_ORDER_MARKS = re.compile(rb"(?:%s)*" % BOM_UTF8)


class Text(NamedTuple):
    """What begins a file's text; `start` is where its rows do, in bytes of UTF-8."""

    encoding: str
    header: Header
    start: int

    @property
    def head(self) -> dict[str, Any]:
        """Describes the text to the process that reads its rows."""
        return {"header": list(self.header)}


NO_TEXT = Text("", Header("", [], 0), 0)  # of a file that is none


def read_text(path: Path, features: list[str], encoding: str | None) -> Text:
    """The encoding is that of text that is not UTF-8; raises CommandFailed or OSError."""
    with reading(path) as (_, file):
        try:
            found = find_encoding(partial(read_blocks, file, UTF_8, BLOCK_BYTES), encoding)
            head = b"".join(islice(read_blocks(file, found, BLOCK_BYTES), HEAD_BLOCKS))
            marks = BYTE_ORDER_MARKS.match(head).end()  # type: ignore[union-attr]  # none are found, too
            header = read_header(head[marks : marks + MAX_HEADER_BYTES], features)
        except InvalidTable as error:
            raise CommandFailed(f"{path}: {error.faults[0].detail}") from None
        except MalformedTable as error:
            raise CommandFailed(f"{path} cannot be read: {error}") from None
    return Text(found, header, marks + header.size)


def read_blocks(file: BinaryIO, encoding: str, size: int) -> Iterator[bytes]:
    """All of its text in UTF-8; what is in UTF-8 on disk still has its byte order marks."""
    file.seek(0)
    blocks = iter(partial(file.read, size), b"")
    return blocks if encoding == UTF_8 else recode(blocks, encoding)


@contextmanager
def reading(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """A file and its text, which gzip may have packed; raises CommandFailed if it is damaged."""
    with path.open("rb") as raw:
        is_gzip = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not is_gzip:
            yield raw, raw
            return
        try:
            with gzip.open(raw) as text:
                yield raw, cast("BinaryIO", text)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            said = f"The gzip file {path} is damaged: {str(error).rstrip('.')}"
            raise CommandFailed(f"{said}. Copy it again.") from None
