"""Reads a table from the bytes of a file."""

import csv
import gzip
import hashlib
import io
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
import pyarrow.csv
from charset_normalizer import from_bytes

from errors import UnusableTable, hide_secrets

SAMPLE_BYTES = 1_000_000  # to find encoding and delimiter from

# What stands in a CSV file for a missing value. The manifest tells these words to the backend.
MISSING = (*pyarrow.csv.ConvertOptions().null_values, "?", "<NA>", "None")

_DELIMITERS = ",;\t|"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class Table(NamedTuple):
    """What a file holds; `sha256` is that of the file's bytes."""

    frame: pd.DataFrame
    sha256: str


def parse_table(raw: bytes, source: str, texts: Sequence[str] = ()) -> Table:
    """Return the table that these bytes of the source hold; raises UnusableTable.

    The columns in `texts` keep every character of a CSV file, leading zeros included.
    """
    frame = _parse_file(raw, texts)
    if frame.empty:
        raise UnusableTable(
            f"{hide_secrets(source)} holds no rows. Give it a header line and rows below."
        )
    return Table(frame, hashlib.sha256(raw).hexdigest())


def _parse_file(raw: bytes, texts: Sequence[str]) -> pd.DataFrame:
    """By what the bytes are, as names of files promise anything."""
    if raw.startswith(b"\x1f\x8b"):
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError) as error:
            message = f"The gzip file is damaged: {_strip(error)}"
            raise UnusableTable(f"{message}. Copy it again.") from None
    if raw.startswith(b"PAR1"):
        return _parse_parquet(raw)
    return _parse_csv(raw, texts)


def _parse_parquet(raw: bytes) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(io.BytesIO(raw))
    except (OSError, ValueError) as error:  # pyarrow's are one or the other
        message = f"The Parquet file is damaged: {_strip(error)}"
        raise UnusableTable(f"{message}. Copy it again.") from None
    if any(frame.index.names):
        frame = frame.reset_index()
    return frame.set_axis(_check_names([str(name) for name in frame.columns]), axis="columns")


def _parse_csv(raw: bytes, texts: Sequence[str]) -> pd.DataFrame:
    encoding = _find_encoding(raw)
    delimiter, header = _read_header(raw[:SAMPLE_BYTES].decode(encoding, errors="replace"))
    options: dict[str, Any] = {
        "sep": delimiter,
        "encoding": encoding,
        "encoding_errors": "replace",
        "header": 0,
        "names": _check_names(header),
        "index_col": False,
        "skipinitialspace": True,
        "keep_default_na": False,
        "na_values": MISSING,
        "low_memory": False,
        "dtype": dict.fromkeys(texts, "str"),
    }
    frame = _read_csv(raw, options)
    # Where semicolons part the fields, commas may part the decimals.
    if delimiter == ";" and any(_has_decimal_commas(frame[name]) for name in frame):
        return _read_csv(raw, {**options, "decimal": ","})
    return frame


def _read_csv(raw: bytes, options: dict[str, Any]) -> pd.DataFrame:
    with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
        try:
            frame: pd.DataFrame = pd.read_csv(io.BytesIO(raw), **options)
        except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError) as error:
            message = f"The file is no table: {_strip(error)}"
            advice = "Each line needs as many fields as the header; quote those with delimiters"
            raise UnusableTable(f"{message}. {advice}.") from None
    return frame


def _find_encoding(raw: bytes) -> str:
    if raw.startswith(_UTF_16):
        return "utf-16"
    if b"\0" in raw:
        raise UnusableTable("The file is neither CSV, gzip of CSV nor Parquet. Give one of these.")
    try:
        raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        found = from_bytes(raw[:SAMPLE_BYTES]).best()
        return found.encoding if found else "latin-1"
    return "utf-8-sig"


def _read_header(sample: str) -> tuple[str, list[str]]:
    """The delimiter that gives the most columns, and their names."""
    headers = {}
    for delimiter in _DELIMITERS:
        rows = csv.reader(io.StringIO(sample), delimiter=delimiter, skipinitialspace=True)
        try:
            headers[delimiter] = next((row for row in rows if row), [])
        except csv.Error as error:
            raise UnusableTable(f"The header cannot be read: {_strip(error)}.") from None
    if not any(headers.values()):
        raise UnusableTable("The file is empty. Give it a header line and rows below.")
    return max(headers.items(), key=lambda item: len(item[1]))


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


def _has_decimal_commas(values: pd.Series) -> bool:
    if not pd.api.types.is_string_dtype(values):
        return False
    present = values.dropna().astype(str)
    return bool(len(present) and present.str.fullmatch(r"-?\d+,\d+").all())
