"""Cuts CSV where rows end, without reading what is in them."""

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from errors import CommandFailed

SHORT = 8  # times shorter than the longest piece
HEADER_BYTES = 65_536  # read at first to find its end
MAX_ROW_BYTES = 64 * 1024**2

ROW_END = re.compile(rb"\r\n|\n|\r(?!\Z)")


def cut(blocks: Iterable[bytes], delimiter: str, start: int) -> Iterator[tuple[bytes, bool]]:
    """Whole rows of the text that the blocks make from the start on, and if they are the last.

    A short piece is joined to the one before, so that the last few rows are in one piece. Raises
    CommandFailed.
    """
    held, rest, most = b"", b"", 0
    quoted = _compile(delimiter)
    for block in _skip(blocks, start):
        content = rest + block
        end = find_end(content, quoted)
        if not end and len(content) > MAX_ROW_BYTES:
            raise _refuse_endless(start)
        if held and SHORT * end >= most:
            yield held, False
            held = b""
        held += content[:end]
        start, rest, most = start + end, content[end:], max(most, end)
    if held or rest:
        yield held + rest, True


def _skip(blocks: Iterable[bytes], size: int) -> Iterator[bytes]:
    for block in blocks:
        yield block[size:] if size else block
        size = max(0, size - len(block))


def _refuse_endless(start: int) -> CommandFailed:
    said = f"The row that begins at byte {start:,} has not ended {MAX_ROW_BYTES:,} bytes later"
    advice = "Perhaps it is not CSV, or a quote in it is never closed: fix that row"
    return CommandFailed(f"{said}. {advice}.")


def read_first_row(source: BinaryIO, delimiter: str) -> bytes:
    """Read it with its line end, and blank lines before it."""
    content, quoted = b"", _compile(delimiter)
    # Twice as much each time, as all of it is looked through again.
    while block := source.read(max(HEADER_BYTES, len(content))):
        content += block
        start = len(content) - len(content.lstrip(b"\r\n"))
        without_cells = quoted.sub(lambda cell: cell[1] + b"x" * len(cell[2]), content)
        if end := ROW_END.search(without_cells, start):
            return content[: end.end()]
    return content


def find_end(content: bytes, quoted: re.Pattern[bytes]) -> int:
    """Return where the last whole row ends, or 0."""
    mark = b"\n" if b"\n" in content else b"\r"
    # The last carriage return may belong to a line feed that follows.
    until = len(content) - (mark == b"\r")
    last = before = 0
    for found in quoted.finditer(content) if b'"' in content else ():
        start, end = found.span(2)
        last = content.rfind(mark, before, min(start, until)) + 1 or last
        before = end
    return content.rfind(mark, before, until) + 1 or last


def _compile(delimiter: str) -> re.Pattern[bytes]:
    """Cells in quotes, the last one perhaps without its end; a quote within a cell opens none.

    Blanks before the first quote do not count.
    """
    mark = re.escape(delimiter.encode())
    return re.compile(rb'((?:\A|[\r\n]|%b) *)("[^"]*(?:""[^"]*)*(?:"|\Z))' % mark)
