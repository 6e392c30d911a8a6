"""Reads the header of a CSV file, compressed or not."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from errors import CommandFailed
from inputs import Feature
from pieces import read_first_row

DELIMITERS = ",;\t|"
BOM = b"\xef\xbb\xbf"


class UnusableSource(CommandFailed):
    """What is to be scored is not there, or is no table; the message says what to do."""


def read_header(path: Path, features: list[Feature]) -> tuple[str, list[str]]:
    """By the delimiter that finds the most features."""
    headers = {delimiter: _split_header(path, delimiter) for delimiter in DELIMITERS}
    wanted = {feature.name for feature in features}
    delimiter = max(headers, key=lambda it: len(wanted.intersection(headers[it])))
    if not any(headers[delimiter]):
        raise UnusableSource(f"{path} has no header. Name its columns in the first line.")
    return delimiter, headers[delimiter]


def _split_header(path: Path, delimiter: str) -> list[str]:
    opened: Any = gzip.open if is_gzip(path) else open
    with opened(path, "rb") as file, undamaged(path):
        line = read_first_row(file, delimiter)
    try:
        text = line.removeprefix(BOM).decode().strip("\r\n")
    except UnicodeDecodeError:
        raise UnusableSource(f"{path} is no CSV in UTF-8. Save it as that.") from None
    if "\0" in text:
        raise UnusableSource(f"{path} is neither CSV, gzip of CSV nor Parquet. Give one of these.")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return [name.strip() for name in next(rows, [])]
    except csv.Error as error:
        raise UnusableSource(f"The header of {path} cannot be read: {error}.") from None


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
