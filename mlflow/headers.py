"""Reads the header of a CSV file, compressed or not."""

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from errors import CommandFailed
from inputs import Feature
from pieces import HEADER_BYTES, MAX_HEADER_BYTES, EndlessRow, read_first_row

DELIMITERS = ",;\t|"
BOM = b"\xef\xbb\xbf"


class UnusableSource(CommandFailed):
    """What is to be scored is not there, or is no table; the message says what to do."""


def read_header(path: Path, features: list[Feature]) -> tuple[str, list[str]]:
    """By the delimiter that finds the most features."""
    headers, refusals = {}, []
    opened: Any = gzip.open if is_gzip(path) else open
    with opened(path, "rb") as file, undamaged(path):
        _require_text(path, file.read(HEADER_BYTES))
        for delimiter in DELIMITERS:
            file.seek(0)
            try:
                headers[delimiter] = _split_header(path, file, delimiter)
            except UnusableSource as refused:  # with another one, that quote may open no cell
                refusals.append(refused)
    wanted = {feature.name for feature in features}
    found = {it: len(wanted.intersection(names)) for it, names in headers.items()}
    if refusals and not any(found.values()):
        raise refusals[0]
    delimiter = max(found, key=found.__getitem__)
    if not any(headers[delimiter]):
        raise UnusableSource(f"{path} has no header. Name its columns in the first line.")
    return delimiter, headers[delimiter]


def _require_text(path: Path, head: bytes) -> None:
    """At once, as in other files a row may never end."""
    line = head.splitlines()[0] if head.splitlines() else b""
    _decode(path, line, is_whole=False)


def _split_header(path: Path, file: BinaryIO, delimiter: str) -> list[str]:
    try:
        line = read_first_row(file, delimiter)
    except EndlessRow:
        said = f"The header of {path} has not ended {MAX_HEADER_BYTES:,} bytes later"
        advice = "Perhaps it is no CSV, or a quote in it is never closed: mend that line"
        raise UnusableSource(f"{said}. {advice}.") from None
    text = _decode(path, line).strip("\r\n")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return [name.strip() for name in next(rows, [])]
    except csv.Error as error:
        raise UnusableSource(f"The header of {path} cannot be read: {error}.") from None


def _decode(path: Path, line: bytes, *, is_whole: bool = True) -> str:
    """Where it is not whole, a character at its end need not be."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        text = decoder.decode(line.removeprefix(BOM), is_whole)
    except UnicodeDecodeError:
        raise UnusableSource(f"{path} is no CSV in UTF-8. Save it as that.") from None
    if "\0" in text:
        raise UnusableSource(f"{path} is neither CSV, gzip of CSV nor Parquet. Give one of these.")
    return text


@contextmanager
def undamaged(path: Path) -> Iterator[None]:
    """Raises UnusableSource for whatever a broken gzip file makes zlib say."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UnusableSource(describe_damage(path, "gzip", error)) from None


def describe_damage(path: Path, kind: str, error: BaseException) -> str:
    said = str(error).partition("\n")[0].rstrip(".")
    return f"The {kind} file {path} is damaged: {said}. Copy it again."


def is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"
