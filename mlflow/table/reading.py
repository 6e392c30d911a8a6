"""Reads a table from the bytes of a file."""

import gzip
import hashlib
import zlib
from typing import NamedTuple

import pandas as pd

from errors import UnusableTable, hide_secrets
from table.delimited import read_cells
from table.encodings import to_utf8
from table.names import check_names, require_header
from table.origin import Origin
from table.parquet import read_parquet
from table.separators import read_header
from table.spreadsheets import STARTS, read_sheet


class Table(NamedTuple):
    """What a file holds; `sha256` is that of the file's bytes."""

    frame: pd.DataFrame
    sha256: str
    origin: Origin = Origin()


def parse_table(
    raw: bytes, source: str, encoding: str | None = None, sheet: str | None = None
) -> Table:
    """Return the table that these bytes of the source hold; raises UnusableTable.

    Texts are trimmed, and missing where nothing is left. All cells of a CSV file are texts; those
    of a workbook and the columns of Parquet keep their kinds.
    """
    frame, origin = _parse_file(raw, encoding, sheet)
    if frame.empty:
        raise UnusableTable(
            f"{hide_secrets(source)} holds no rows. Give it a header line and rows below."
        )
    return Table(frame, hashlib.sha256(raw).hexdigest(), origin)


def _parse_file(raw: bytes, encoding: str | None, sheet: str | None) -> tuple[pd.DataFrame, Origin]:
    """By what the bytes are, as names of files promise anything."""
    if raw.startswith(b"\x1f\x8b"):
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            message = f"The gzip file is damaged: {str(error).strip().rstrip('.')}"
            raise UnusableTable(f"{message}. Copy it again.") from None
    if raw.startswith(STARTS):
        return read_sheet(raw, sheet)
    if sheet is not None:
        raise UnusableTable("The file is no .xlsx workbook. Leave --sheet out.")
    if raw.startswith(b"PAR1"):
        return read_parquet(raw), Origin()
    text, name = to_utf8(raw, encoding)
    header = read_header(text)
    require_header(header.names)
    advice = "Give it one, or take the separator from the end of each line"
    header = header._replace(names=check_names(header.names, advice))
    return read_cells(text, header), Origin(name, header.separator)
