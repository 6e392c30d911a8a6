"""Writes what spreadsheet programs open, so that they take no text for a formula."""

import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds
from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

# Of a sheet, by Excel's specifications and limits.
MOST_ROWS = 1_048_575  # below the header
MOST_COLUMNS = 16_384
MOST_CHARACTERS = 32_767
EXACT_INTEGER = 10**15  # Excel keeps 15 digits
LARGEST_NUMBER = 9.99e307
# A workbook is written by way of /tmp, which is memory in the container: two copies, unpacked.
MOST_BYTES = 96 * 1024**2
CELL_BYTES = 40  # of XML around each cell
ROWS_AT_ONCE = 4096

# How a formula begins, after OWASP's "CSV Injection"; Japanese programs take the wide signs too.
FORMULA = r"(?s)^[=+\-@\t\r\n\x00＝＋－＠]."
# What begins so and is a number: digits with their marks, a currency before or a unit behind.
NUMBER = (
    r"^[+\-] ?\p{Sc}? ?[.,]?\d[\d.,'’ \x{a0}\x{202f}]*([eE][+\-]?\d+)?"
    r"[ \x{a0}\x{202f}]?[\p{L}\p{Sc}°%/²³]*$"
)


def guard(text: Any) -> Any:
    """Put an apostrophe before each cell of an array that a spreadsheet would calculate."""
    return pc.if_else(find_formulas(text), pc.binary_join_element_wise("'", text, ""), text)


def find_formulas(text: Any) -> Any:
    """Return a mask of an array of text."""
    begins_so = pc.match_substring_regex(text, FORMULA)
    return pc.and_not(begins_so, pc.match_substring_regex(text, NUMBER)).fill_null(False)


def is_text(kind: pa.DataType) -> bool:
    """Whether cells of this kind may hold any characters."""
    return not (kinds.is_primitive(kind) or kinds.is_decimal(kind) or kinds.is_null(kind))


def to_text(column: Any) -> Any:
    """Letter by letter what is text, and readable what is a list or bytes."""
    try:
        return column.cast(pa.string())
    except pa.ArrowException:
        cells = [None if cell is None else str(cell) for cell in column.to_pylist()]
        return pa.chunked_array([pa.array(cells, pa.string())])


def fits_sheet(table: pa.Table) -> bool:
    cells = table.num_rows * table.num_columns
    return (
        table.num_rows <= MOST_ROWS
        and table.num_columns <= MOST_COLUMNS
        and table.nbytes + cells * CELL_BYTES <= MOST_BYTES
        and all(map(_fits_cells, table.columns))
    )


def _fits_cells(column: Any) -> bool:
    """Bytes are counted, which are never fewer than the characters that Excel counts."""
    if not is_text(column.type):
        return True
    longest: int | None = pc.max(pc.binary_length(to_text(column))).as_py()
    return (longest or 0) <= MOST_CHARACTERS


def write_workbook(table: pa.Table, sheet_name: str) -> bytes:
    """A sheet with numbers where a column is numeric, and text letter by letter."""
    sink = io.BytesIO()
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with Workbook(sink, options) as book:
        sheet = book.add_worksheet(sheet_name, _PlainSheet)
        sheet.write_row(0, 0, table.column_names)
        for start in range(0, table.num_rows, ROWS_AT_ONCE):
            columns = map(_to_cells, table.slice(start, ROWS_AT_ONCE).columns)
            for number, row in enumerate(zip(*columns, strict=True), start + 1):
                sheet.write_row(number, 0, row)
    return sink.getvalue()


def _to_cells(column: Any) -> Sequence[Any]:
    """Numbers are text if they are none to Excel: NaN, infinities, integers of many digits."""
    kind = column.type
    if kinds.is_boolean(kind):
        return list(column.to_pylist())
    if not (kinds.is_integer(kind) or kinds.is_floating(kind)):
        return list(to_text(column).to_pylist())
    most = EXACT_INTEGER if kinds.is_integer(kind) else LARGEST_NUMBER
    cells = column.to_pylist()
    return [cell if cell is None or abs(cell) <= most else str(cell) for cell in cells]


class _PlainSheet(Worksheet):  # type: ignore[misc] # it ships no types
    """Writes <r>…</r> as text, which XlsxWriter would take for XML of its own."""

    def _xml_rich_inline_string(self, string: str, attributes: Any = ()) -> None:
        self._xml_inline_string(string, True, attributes)
