"""Opens .xlsx: numbers, booleans and dates keep their kinds, text is as people write it."""

import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from typing import Any

import pyarrow as pa
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum

from errors import InvalidTable, MalformedTable, TableFault, shorten
from schemas import Description, Number
from worker.encodings import BLOCK_BYTES
from worker.headers import name_columns
from worker.tables.cells import make_readers
from worker.tables.notes import Notes
from worker.tables.table import Batches, Limits, Table

MAX_WHOLE = 2**53  # beyond, doubles cannot tell whole numbers apart

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # of a workbook that is old or encrypted
_DAMAGES = (
    *(CalamineError, zipfile.BadZipFile, zlib.error, EOFError),
    *(OverflowError, RuntimeError, ValueError),
)
_GROUPED = re.compile(r"-?[0-9]{1,3}\.[0-9]{3}")  # a number that may have thousands

Rows = list[Sequence[Any]]


def open_workbook(
    content: memoryview, limits: Limits, known: Description, wanted: str | None
) -> Table:
    """The wanted sheet, or the first one that has all features, or the first with cells.

    Raises MalformedTable, TableTooLarge, or InvalidTable for a sheet or a name that lacks.
    """
    name, rows, sheets = _choose(_open(bytes(content), limits), known, limits, wanted)
    columns = [column for column in zip(*rows, strict=True) if not _is_blank(column)]
    names = name_columns([_write(head) for head, *_ in columns])
    grouped = _find_grouped(known)
    arrays = [_read(cells, it in grouped) for it, (_, *cells) in zip(names, columns, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, names)
    notes = Notes(make_readers(known), batch.schema, target=known.target.name)

    def read() -> Batches:
        return notes.watch(iter([batch]))

    others = f" of {len(sheets)} sheets: {shorten(', '.join(sheets))}" if len(sheets) > 1 else ""
    said = f"Read sheet {shorten(name)}{others}."
    return Table(batch.schema, read, limits, True, said=said, notes=notes, sheets=sheets)


def _open(content: bytes, limits: Limits) -> CalamineWorkbook:
    """Raises MalformedTable or TableTooLarge."""
    if content.startswith(_OLE):
        said = "The workbook is protected by a password, or older than .xlsx"
        raise MalformedTable(f"{said}. Save it as .xlsx without a password.")
    with _readable(), zipfile.ZipFile(io.BytesIO(content)) as archive:
        _measure(archive, limits)
        return CalamineWorkbook.from_filelike(io.BytesIO(content))


def _measure(archive: zipfile.ZipFile, limits: Limits) -> None:
    """Raises TableTooLarge for what is in the archive, whatever it says of itself."""
    size = 0
    for member in archive.infolist():
        member.file_size = limits.unpacked_bytes + 1
        with archive.open(member) as file:
            while block := file.read(BLOCK_BYTES):
                size += len(block)
                limits.check(0, size)


@contextmanager
def _readable() -> Iterator[None]:
    """Raises MalformedTable for whatever a broken archive makes its readers say."""
    try:
        yield
    except _DAMAGES as error:
        said = shorten(str(error).strip().rstrip(".")) or type(error).__name__
        raise MalformedTable(f"The body is no .xlsx that can be read: {said}.") from None


def _choose(
    book: CalamineWorkbook, known: Description, limits: Limits, wanted: str | None
) -> tuple[str, Rows, list[str]]:
    """A sheet, its rows, and the names of all sheets; raises InvalidTable or TableTooLarge."""
    kinds = [it for it in book.sheets_metadata if it.typ == SheetTypeEnum.WorkSheet]
    names = [it.name for it in kinds]
    if wanted is not None and wanted not in names:
        said = f"There is no sheet {shorten(wanted)}. The sheets are {shorten(', '.join(names))}."
        raise InvalidTable([TableFault(said)])
    features = {feature.name for feature in known.features}
    first: tuple[str, Rows] | None = None
    for name in names if wanted is None else [wanted]:
        with _readable():
            rows = _list_rows(book.get_sheet_by_name(name), limits)
        first = first or ((name, rows) if rows else None)
        if rows and features.issubset(_write(head) for head in rows[0]):
            return name, rows, names
    if first is None:
        raise InvalidTable([TableFault("The sheet has no cells. Name its columns in a first row.")])
    return *first, names


def _list_rows(sheet: CalamineSheet, limits: Limits) -> Rows:
    """List the rows that have cells; raises TableTooLarge."""
    rows: Rows = [row for row in sheet.iter_rows() if not _is_blank(row)]
    limits.check(len(rows) - 1)
    return rows


def _is_blank(cells: Sequence[Any]) -> bool:
    return not any(not isinstance(cell, str) or cell.strip() for cell in cells)


def _find_grouped(known: Description) -> set[str]:
    """Features of whose text a point separates thousands."""
    numbers = [it for it in known.features if isinstance(it, Number)]
    return {it.name for it in numbers if it.written and it.written.thousands == "."}


def _read(cells: Sequence[Any], is_grouped: bool) -> Any:
    """A column of one kind, or of text if there are several."""
    values = [None if cell == "" else cell for cell in cells]
    kinds = {*map(type, values)} - {type(None)}
    if kinds <= {int, float}:
        are_whole = all(value is None or _is_whole(float(value)) for value in values)
        return pa.array(values, pa.float64()).cast(pa.int64() if are_whole else pa.float64())
    if kinds in ({str}, {bool}, {date}):
        return pa.array(values)
    if kinds <= {date, datetime}:
        moments = [value and _to_moment(value) for value in values]
        has_fractions = any(value and value.microsecond for value in moments)
        return pa.array(moments, pa.timestamp("ms" if has_fractions else "s"))
    return pa.array([_write_apart(value, is_grouped) for value in values], pa.string())


def _to_moment(value: date) -> datetime:
    """A day's beginning, unless it has a time of its own."""
    return value if isinstance(value, datetime) else datetime.combine(value, time.min)


def _write_apart(value: Any, is_grouped: bool) -> str | None:
    """Text among others; a zero more keeps 1.234 from being read as thousands."""
    if value is None or isinstance(value, str):
        return value
    text = _write(value)
    return f"{text}0" if is_grouped and _GROUPED.fullmatch(text) else text


def _write(cell: Any) -> str:
    """As a person writes it: whole numbers without decimals, dates by ISO 8601."""
    return str(int(cell) if _is_whole(cell) else cell).strip()


def _is_whole(cell: Any) -> bool:
    return isinstance(cell, float) and abs(cell) < MAX_WHOLE and cell.is_integer()
