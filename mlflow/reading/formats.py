"""Reads a table from the bytes of a file."""

import gzip
import hashlib
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from errors import UnusableTable, hide_secrets
from reading.delimited import read_cells
from reading.encodings import to_utf8
from reading.names import check_names, require_header
from reading.origin import Origin
from reading.parquet import read_parquet
from reading.separators import read_header
from reading.spreadsheets import STARTS, read_sheet


class Table(NamedTuple):
    """What a file holds; `sha256` is that of the file's bytes.

    `short` are the rows with fewer cells than the header.
    """

    frame: pd.DataFrame
    sha256: str
    origin: Origin = Origin()
    short: Sequence[int] = ()


def parse_table(
    raw: bytes, source: str, encoding: str | None = None, sheet: str | None = None
) -> Table:
    """Return the table in these bytes, whatever the source's name promises; raises UnusableTable.

    Texts are trimmed, and missing where nothing is left. All cells of a CSV file are texts; those
    of a workbook and the columns of Parquet keep their kinds.
    """
    sha256, raw = hashlib.sha256(raw).hexdigest(), _unpack(raw)
    is_workbook = raw.startswith(STARTS)
    if sheet is not None and not is_workbook:
        raise UnusableTable("The file is no .xlsx workbook. Leave --sheet out.")
    short: Sequence[int] = ()
    if is_workbook:
        frame, origin = read_sheet(raw, sheet)
    elif raw.startswith(b"PAR1"):
        frame, origin = read_parquet(raw), Origin()
    else:
        text, name = to_utf8(raw, encoding)
        del raw  # or a large file takes its memory twice
        frame, short, separator = _read_csv(text)
        origin = Origin(name, separator)
    if frame.empty:
        advice = "Give it a header line and rows below"
        raise UnusableTable(f"{hide_secrets(source)} holds no rows. {advice}.")
    return Table(frame, sha256, origin, short)


def _unpack(raw: bytes) -> bytes:
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        message = f"The gzip file is damaged: {str(error).strip().rstrip('.')}"
        raise UnusableTable(f"{message}. Copy it again.") from None


def _read_csv(text: bytes) -> tuple[pd.DataFrame, list[int], str]:
    header = read_header(text)
    require_header(header.names)
    advice = "Give it one, or take the separator from the end of each line"
    header = header._replace(names=check_names(header.names, advice))
    return *read_cells(text, header), header.separator
