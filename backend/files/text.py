"""Cuts CSV where rows end, without reading what is in them, and reads its header."""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from errors import CommandFailed

PIECE_BYTES = 8 * 1024**2
HEADER_BYTES = 65_536  # read at first to find its end
MAX_HEADER_BYTES = 1024**2
MAX_ROW_BYTES = 64 * 1024**2
DELIMITERS = ",;\t|"
BOM = b"\xef\xbb\xbf"

ROW_END = re.compile(rb"\r\n|\n|\r(?!\Z)")


def cut(source: BinaryIO, delimiter: str) -> Iterator[bytes]:
    """Whole rows, from where the source is on; raises CommandFailed."""
    start, rest = source.tell(), b""
    quoted = _compile(delimiter)
    while block := source.read(PIECE_BYTES):
        content = rest + block
        end = find_end(content, quoted)
        if not end and len(content) > MAX_ROW_BYTES:
            raise _refuse_endless(f"The row that begins at byte {start:,}", MAX_ROW_BYTES)
        if end:
            yield content[:end]
        start, rest = start + end, content[end:]
    if rest:
        yield rest


def read_first_row(source: BinaryIO, delimiter: str) -> bytes:
    """Read it with its line end, and blank lines before it; raises CommandFailed."""
    content, quoted = b"", _compile(delimiter)
    # Twice as much each time, as all of it is looked through again.
    while block := source.read(max(HEADER_BYTES, len(content))):
        content += block
        start = len(content) - len(content.lstrip(b"\r\n"))
        without_cells = quoted.sub(lambda cell: cell[1] + b"x" * len(cell[2]), content)
        if end := ROW_END.search(without_cells, start):
            return content[: end.end()]
        if len(content) >= MAX_HEADER_BYTES:
            raise _refuse_endless("The header", MAX_HEADER_BYTES)
    return content


def read_header(path: Path, source: BinaryIO, features: list[str]) -> tuple[str, list[str]]:
    """The delimiter that finds the most features, and the columns; raises CommandFailed."""
    head = source.read(HEADER_BYTES)
    _decode(path, next(iter(head.splitlines()), b""), is_whole=False)
    headers: dict[str, list[str]] = {}
    refusals = []
    for delimiter in DELIMITERS:
        source.seek(0)
        try:
            line = _decode(path, read_first_row(source, delimiter)).strip("\r\n")
            rows = csv.reader(io.StringIO(line, newline=""), delimiter=delimiter)
            headers[delimiter] = [name.strip() for name in next(rows, [])]
        except (CommandFailed, csv.Error) as refused:  # another may open no cell by that quote
            refusals.append(CommandFailed(f"{path} cannot be read: {refused}"))
    found = {mark: len(set(features).intersection(names)) for mark, names in headers.items()}
    if refusals and not any(found.values()):
        raise refusals[0]
    delimiter = max(found, key=found.__getitem__)
    names = headers[delimiter]
    if not any(names):
        raise CommandFailed(f"{path} has no header. Name its columns in the first line.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CommandFailed(f"Two columns are named {twice[0]}. Rename one of them.")
    return delimiter, names


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


def _decode(path: Path, line: bytes, *, is_whole: bool = True) -> str:
    """If it is not whole, a character at its end need not be; raises CommandFailed."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        text = decoder.decode(line.removeprefix(BOM), is_whole)
    except UnicodeDecodeError:
        raise CommandFailed(f"{path} is not CSV in UTF-8. Save it as that.") from None
    if "\0" in text:
        raise CommandFailed(f"{path} is neither CSV, gzip of CSV nor Parquet. Give one of these.")
    return text


def _refuse_endless(what: str, most: int) -> CommandFailed:
    advice = "Perhaps it is not CSV, or a quote in it is never closed: fix that row"
    return CommandFailed(f"{what} has not ended {most:,} bytes later. {advice}.")


def _compile(delimiter: str) -> re.Pattern[bytes]:
    """Cells in quotes, the last one perhaps without its end; a quote within a cell opens none."""
    mark = re.escape(delimiter.encode())
    return re.compile(rb'(\A|[\r\n]|%b)("[^"]*(?:""[^"]*)*(?:"|\Z))' % mark)
