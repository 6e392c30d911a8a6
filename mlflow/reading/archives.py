"""Refuses a zip archive that is no workbook, or that would fill the memory."""

import io
import re
import zipfile
from collections.abc import Iterator
from functools import reduce

from errors import UnusableTable

MAX_BYTES = 4 * 1024**3  # unpacked
MAX_CELLS = 100_000_000  # of the area around a sheet's cells; calamine keeps 32 bytes for each

_BLOCK_BYTES = 4 * 1024**2
_TAG_BYTES = 200  # more than the tag of a cell takes
_WORKBOOK, _SHEETS = "xl/workbook.xml", "xl/worksheets/"

# The second one takes three times as long, but knows cells that have a style and no content.
_CELL = re.compile(rb"""\sr=["']([A-Za-z]+)(\d+)""")
_FILLED_CELL = re.compile(rb"""<(?:\w+:)?c\s(?:[^>]*\s)?r=["']([A-Za-z]+)(\d+)[^>]*(?<!/)>""")


def require_workbook(raw: bytes) -> None:
    """Raises UnusableTable, or what zipfile raises if the archive is damaged."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        files = archive.infolist()
        if _WORKBOOK not in archive.namelist():
            held = ", ".join(file.filename for file in files[:5]) or "nothing"
            advice = "Unzip it, and give the CSV, Parquet or .xlsx file in it"
            raise UnusableTable(f"The zip archive is no .xlsx workbook: it holds {held}. {advice}.")
        if sum(file.file_size for file in files) > MAX_BYTES:
            message = f"The workbook takes more than {MAX_BYTES // 1024**3} GiB unpacked"
            raise UnusableTable(f"{message}. Save the sheet as CSV.")
        for file in files:
            if file.filename.startswith(_SHEETS):
                _require_small(archive, file)


def _require_small(archive: zipfile.ZipFile, sheet: zipfile.ZipInfo) -> None:
    if _count_area(archive, sheet, _CELL) <= MAX_CELLS:
        return
    if _count_area(archive, sheet, _FILLED_CELL) > MAX_CELLS:
        message = f"The cells of {sheet.filename} lie too far apart to be read"
        raise UnusableTable(f"{message}. Delete those outside of the table, or save it as CSV.")


def _count_area(
    archive: zipfile.ZipFile, sheet: zipfile.ZipInfo, pattern: re.Pattern[bytes]
) -> int:
    """The cells from A1 to the last column and the last row."""
    columns, last = set(), 0
    for text in _read_blocks(archive, sheet):
        found = pattern.findall(text)
        columns |= {letters for letters, _ in found}
        last = max(last, *(int(row) for _, row in found), 0)
    return max(map(_to_number, columns), default=0) * last


def _read_blocks(archive: zipfile.ZipFile, sheet: zipfile.ZipInfo) -> Iterator[bytes]:
    """Each begins with the end of the one before, so that no tag is cut in all."""
    end = b""
    with archive.open(sheet) as file:
        while block := file.read(_BLOCK_BYTES):
            yield end + block
            end = block[-_TAG_BYTES:]


def _to_number(letters: bytes) -> int:
    return reduce(lambda number, letter: 26 * number + letter - ord("A") + 1, letters.upper(), 0)
