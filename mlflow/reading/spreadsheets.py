"""Reads a sheet of an Excel workbook: its cells keep their kinds."""

import datetime as dt
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum

from errors import UnusableTable
from reading.archives import require_workbook
from reading.names import check_names, require_header
from reading.origin import Origin

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # of a workbook that is old or encrypted
STARTS = (b"PK\x03\x04", b"PK\x05\x06", _OLE)

MAX_WHOLE = 2**53  # beyond, a float tells no whole numbers apart

_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_DAMAGES = (
    *(CalamineError, zipfile.BadZipFile, zlib.error, EOFError, OverflowError),
    *(RuntimeError, ValueError, OSError),
)


def read_sheet(raw: bytes, wanted: str | None) -> tuple[pd.DataFrame, Origin]:
    """Return this sheet, or the first one with cells; raises UnusableTable.

    Texts are trimmed; empty cells and Excel's errors are missing.
    """
    if raw.startswith(_OLE):
        what = "protected by a password" if _ENCRYPTED in raw else "in the format before 2007"
        raise UnusableTable(f"The workbook is {what}. Save it as .xlsx without a password.")
    with _readable():
        require_workbook(raw)
        book = CalamineWorkbook.from_filelike(io.BytesIO(raw))
        sheets = [sheet for sheet in book.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
        names = tuple(sheet.name for sheet in sheets)
        name, rows = _choose(book, names, wanted)
    return _make_frame(rows), Origin(sheet=name, sheets=names)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except _DAMAGES as error:
        message = f"The workbook is damaged: {str(error).strip().rstrip('.')}"
        raise UnusableTable(f"{message}. Save it again as .xlsx.") from None


def _choose(
    book: CalamineWorkbook, names: Sequence[str], wanted: str | None
) -> tuple[str, list[list[Any]]]:
    there = f"The sheets are {', '.join(names)}."
    if wanted is not None and wanted not in names:
        raise UnusableTable(f"There is no sheet {wanted}. {there}")
    for name in names if wanted is None else [wanted]:
        if rows := _read_rows(book.get_sheet_by_name(name)):
            return name, rows
    if wanted is not None:
        raise UnusableTable(f"Sheet {wanted} holds no cells. {there}")
    raise UnusableTable("The workbook holds no cells. Give it a header line and rows below.")


def _read_rows(sheet: CalamineSheet) -> list[list[Any]]:
    """Those with cells: blank ones are skipped, as blank lines of CSV are."""
    return [row for row in sheet.iter_rows() if not _is_blank(row)]


def _is_blank(row: list[Any]) -> bool:
    return not any(not isinstance(cell, str) or cell.strip() for cell in row)


def _make_frame(rows: list[list[Any]]) -> pd.DataFrame:
    """The columns that have a name or a cell; raises UnusableTable."""
    names, columns = [], []
    for header, *cells in zip(*rows, strict=True):
        name, column = _to_name(header), _make_column(cells)
        if name or column.notna().any():
            names.append(name)
            columns.append(column)
    require_header(names)
    return pd.DataFrame(dict(zip(check_names(names), columns, strict=True)))


def _to_name(cell: Any) -> str:
    """A number's without decimals if it is whole, like a year's."""
    return str(int(cell) if _is_whole(cell) else cell).strip()


def _make_column(cells: list[Any]) -> pd.Series:
    values = [_trim(cell) for cell in cells]
    kinds = {*map(type, values)} - {type(None)}
    if kinds <= {int, float}:
        return pd.Series(values, dtype="float64")
    if kinds == {str}:
        return pd.Series(values, dtype="str")
    if kinds <= {dt.date, dt.datetime}:
        return pd.to_datetime(pd.Series(values, dtype="object"))
    return pd.Series(
        [int(value) if _is_whole(value) else value for value in values], dtype="object"
    )


def _trim(cell: Any) -> Any:
    return (cell.strip() or None) if isinstance(cell, str) else cell


def _is_whole(cell: Any) -> bool:
    return isinstance(cell, float) and abs(cell) < MAX_WHOLE and cell.is_integer()
