"""Cuts CSV where rows end, without reading what is in them."""

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from errors import CommandFailed

PIECE_BYTES = 8 * 1024**2
HEADER_BYTES = 65_536  # read at first to find its end
MAX_HEADER_BYTES = 1024**2
MAX_ROW_BYTES = 64 * 1024**2

ROW_END = re.compile(rb"\r\n|\n|\r(?!\Z)")


class EndlessRow(CommandFailed):
    """A row is so long that a quote is most likely never closed."""


class Piece(NamedTuple):
    """Whole rows; `start` is where they begin in what is read."""

    start: int
    content: bytes


def cut(source: BinaryIO, delimiter: str) -> Iterator[Piece]:
    """From where the source is on; raises EndlessRow."""
    start, rest = source.tell(), b""
    quoted = _compile(delimiter)
    while block := source.read(PIECE_BYTES):
        content = rest + block
        end = find_end(content, quoted)
        if not end and len(content) > MAX_ROW_BYTES:
            said = f"The row that begins at byte {start:,} has not ended {MAX_ROW_BYTES:,} later"
            raise EndlessRow(f"{said}. Perhaps a quote in it is never closed: mend that row.")
        if end:
            yield Piece(start, content[:end])
        start, rest = start + end, content[end:]
    if rest:
        yield Piece(start, rest)


def read_first_row(source: BinaryIO, delimiter: str) -> bytes:
    """With its end, and blank lines before it; empty where there is none. Raises EndlessRow."""
    content, quoted = b"", _compile(delimiter)
    # Twice as much each time, as all of it is looked through again.
    while block := source.read(max(HEADER_BYTES, len(content))):
        content += block
        start = len(content) - len(content.lstrip(b"\r\n"))
        if end := ROW_END.search(_mask_quoted(content, quoted), start):
            return content[: end.end()]
        if len(content) >= MAX_HEADER_BYTES:
            said = f"The first row has not ended {MAX_HEADER_BYTES:,} bytes later"
            raise EndlessRow(f"{said}. Perhaps a quote in it is never closed: mend that row.")
    return content


def find_end(content: bytes, quoted: re.Pattern[bytes]) -> int:
    """Where the last whole row ends; 0 where there is none."""
    until = len(content)
    if b'"' in content:
        for start, end in reversed(_find_quoted(content, quoted)):
            if found := _find_newline(content, end, until):
                return found
            until = start
    return _find_newline(content, 0, until)


def _compile(delimiter: str) -> re.Pattern[bytes]:
    """Cells in quotes, the last one perhaps without its end; a quote within a cell opens none."""
    mark = re.escape(delimiter.encode())
    return re.compile(rb'(?:\A|[\r\n]|%b)("[^"]*(?:""[^"]*)*(?:"|\Z))' % mark)


def _find_quoted(content: bytes, quoted: re.Pattern[bytes]) -> list[tuple[int, int]]:
    return [found.span(1) for found in quoted.finditer(content)]


def _mask_quoted(content: bytes, quoted: re.Pattern[bytes]) -> bytes:
    """As long as the content, with no line end in quotes."""

    def mask(found: re.Match[bytes]) -> bytes:
        before = found.start(1) - found.start()
        return found[0][:before] + b"x" * len(found[1])

    return quoted.sub(mask, content) if b'"' in content else content


def _find_newline(content: bytes, start: int, end: int) -> int:
    """Behind the last one; a carriage return alone ends rows only where there is nothing else."""
    found = content.rfind(b"\n", start, end) + 1
    if not found and b"\n" not in content:
        # What follows the last one may be its line feed.
        found = content.rfind(b"\r", start, min(end, len(content) - 1)) + 1
    return found
