"""Reads a table from the bytes of a file."""

import codecs
import csv
import gzip
import hashlib
import io
from typing import NamedTuple

import pandas as pd

from errors import UnusableTable, hide_secrets
from table.delimited import read_rows

SAMPLE_BYTES = 1_000_000  # to find encoding and delimiter from

_DELIMITERS = ",;\t|"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class Table(NamedTuple):
    """What a file holds; `sha256` is that of the file's bytes."""

    frame: pd.DataFrame
    sha256: str


def parse_table(raw: bytes, source: str) -> Table:
    """Return the table that these bytes of the source hold; raises UnusableTable.

    The cells of a CSV file are texts, trimmed; an empty one is missing.
    """
    frame = _parse_file(raw)
    if frame.empty:
        raise UnusableTable(
            f"{hide_secrets(source)} holds no rows. Give it a header line and rows below."
        )
    return Table(frame, hashlib.sha256(raw).hexdigest())


def _parse_file(raw: bytes) -> pd.DataFrame:
    """By what the bytes are, as names of files promise anything."""
    if raw.startswith(b"\x1f\x8b"):
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError) as error:
            message = f"The gzip file is damaged: {_strip(error)}"
            raise UnusableTable(f"{message}. Copy it again.") from None
    if raw.startswith(b"PAR1"):
        return _parse_parquet(raw)
    return _parse_csv(raw)


def _parse_parquet(raw: bytes) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(io.BytesIO(raw))
    except (OSError, ValueError) as error:  # pyarrow's are one or the other
        message = f"The Parquet file is damaged: {_strip(error)}"
        raise UnusableTable(f"{message}. Copy it again.") from None
    if any(frame.index.names):
        frame = frame.reset_index()
    return frame.set_axis(_check_names([str(name) for name in frame.columns]), axis="columns")


def _parse_csv(raw: bytes) -> pd.DataFrame:
    encoding = _find_encoding(raw)
    text = raw if encoding == "utf-8" else raw.decode(encoding, errors="replace").encode()
    delimiter, header, start = _read_header(text[:SAMPLE_BYTES].decode(errors="ignore"))
    return read_rows(text[start:], delimiter, _check_names(header))


def _find_encoding(raw: bytes) -> str:
    if raw.startswith(_UTF_16):
        return "utf-16"
    if b"\0" in raw:
        raise UnusableTable("The file is neither CSV, gzip of CSV nor Parquet. Give one of these.")
    try:
        raw.decode()
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig" if raw.startswith(codecs.BOM_UTF8) else "utf-8"


def _read_header(sample: str) -> tuple[str, list[str], int]:
    """The delimiter that gives the most columns, their names, and how many bytes they take."""
    headers = {}
    for delimiter in _DELIMITERS:
        lines = io.StringIO(sample, newline="")
        rows = csv.reader(iter(lines.readline, ""), delimiter=delimiter, skipinitialspace=True)
        try:
            names = next((row for row in rows if row), [])
        except csv.Error as error:
            raise UnusableTable(f"The header cannot be read: {_strip(error)}.") from None
        headers[delimiter] = names, len(sample[: lines.tell()].encode())
    delimiter, (names, start) = max(headers.items(), key=lambda item: len(item[1][0]))
    if not names:
        raise UnusableTable("The file is empty. Give it a header line and rows below.")
    return delimiter, names, start


def _check_names(names: list[str]) -> list[str]:
    names = [name.strip() for name in names]
    if all(map(_is_number, names)):
        raise UnusableTable("The first line holds numbers. Put a line of column names above it.")
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise UnusableTable(f"Two columns are named {twice[0]}. Rename one of them.")
    if names.count("") > 1 or "" in names[1:]:
        place = len(names) - names[::-1].index("")
        advice = "Give it one, or take the delimiter from the end of each line"
        raise UnusableTable(f"Column {place} has no name. {advice}.")
    # pandas and R write the number of each row into a first column without a name.
    return [name or "row" for name in names]


def _strip(error: Exception) -> str:
    """Its message without the full stop, as we set our own."""
    return str(error).strip().rstrip(".")


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True
