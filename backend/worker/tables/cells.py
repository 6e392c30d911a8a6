"""Reads the cells of one feature: text by one rule, whatever table holds it."""

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.csv import ConvertOptions

from schemas import Category, Description, Feature, Number, WrittenNumber
from worker.exchange import Array

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
NOT_FINITE = r"^[+-]?([nN][aA][nN]|[iI][nN][fF]([iI][nN][iI][tT][yY])?)$"
BOOLEANS = pa.array(["false", "true", "0", "1"])
MINUS = "\u2212"  # as typographers write it

# Signs of thousands that stand for each other, and blanks, in RE2, whose \s is ASCII alone.
ALIKE = {sign: f"[{signs}]" for signs in (" \u00a0\u202f", "'\u2019") for sign in signs}
BLANKS = r"[\s\p{Z}]*"

# What stands in text for a missing value, if no manifest says it.
MISSING = (*ConvertOptions().null_values, "?", "<NA>", "None")

KINDS = {"number": pa.float64(), "boolean": pa.bool_(), "category": pa.string()}
MOST_CODE = 2**53  # of whole numbers that doubles can tell apart
PLAIN = WrittenNumber()


def make_readers(description: Description, decimal: str = ".") -> list["CellReader"]:
    """One for each feature; `decimal` is that of text whose manifest knows none."""
    words = description.written.missing if description.written else MISSING
    return [CellReader(feature, words, decimal) for feature in description.features]


class CellReader:
    """Reads the cells of a feature, in text or in a column of any type that is taken for it."""

    def __init__(self, feature: Feature, words: Iterable[str], decimal: str) -> None:
        self.feature = feature
        known = feature.values if isinstance(feature, Category) else []
        self._missing = pa.array(sorted({"", *words}.difference(known)), pa.string())
        # Older trainings kept blanks, so a category may be known by them.
        self._padded = pa.array([value for value in known if value != value.strip()], pa.string())
        self._kind = KINDS[feature.type]
        self._written = (feature.written if isinstance(feature, Number) else None) or PLAIN
        usual = "." if self._written.thousands else decimal
        self._decimal = self._written.decimal or usual
        # A word such as -999 is a number, too, so cells that can be read may be missing.
        is_bare = not (self._written.thousands or self._written.affix)
        is_plain = is_bare and feature.type == "number"  # with decimal points, wherever they are
        self._is_plain = is_plain and not _find_numbers(self._parse(self._missing)).true_count

    def read(self, column: Any) -> Any:
        """Null where a cell is missing, or is no value of the feature."""
        if not is_text(column.type):
            return self._convert(self.clear(column))
        if self._is_plain and (numbers := _cast(column)) is not None:
            return numbers
        return self._parse(self.clear(column))

    def clear(self, column: Any) -> Any:
        """Without blanks around text, and null where a cell is missing."""
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if is_text(column.type):
            return self._clear(column.cast(pa.string()))
        if pa.types.is_floating(column.type) and pc.any(pc.is_nan(column)).as_py():
            return pc.if_else(pc.is_nan(column), None, column)
        return column

    def _clear(self, cells: Any) -> Any:
        text = pc.utf8_trim_whitespace(cells)
        if len(self._padded):
            text = pc.if_else(pc.is_in(cells, self._padded), cells, text)
        return pc.if_else(pc.is_in(text, self._missing), None, text)

    def takes(self, kind: Any) -> bool:
        """Whether it reads columns of this type."""
        types = pa.types
        if types.is_dictionary(kind):
            kind = kind.value_type
        if types.is_null(kind) or is_text(kind):
            return True
        if self.feature.type == "boolean":
            return bool(types.is_boolean(kind))
        is_decimal = types.is_decimal(kind) and self.feature.type == "number"
        return bool(types.is_integer(kind) or types.is_floating(kind) or is_decimal)

    def _convert(self, column: Any) -> Any:
        if self._kind == pa.string() and pa.types.is_floating(column.type):
            return _write_codes(column)
        return column.cast(self._kind, safe=False)

    def _parse(self, text: Any) -> Any:
        if self._kind == pa.string():
            return text
        if self._kind == pa.bool_():
            return _read_booleans(text)
        return _read_numbers(self._simplify(text))

    def _simplify(self, text: Any) -> Any:
        """Numbers as programs write them."""
        if affix := self._written.affix:
            sign = re.escape(affix)
            before = f"([+{MINUS}-]?){BLANKS}{sign}{BLANKS}(.*)"
            pattern = f"(?s)^(?:{before}|(.*?){BLANKS}{sign})$"
            text = pc.replace_substring_regex(text, pattern, r"\1\2\3")
        text = pc.replace_substring_regex(text, f"^{MINUS}", "-")
        if thousands := self._written.thousands:
            sign = ALIKE.get(thousands, re.escape(thousands))
            grouped = rf"^[+-]?[0-9]{{1,3}}({sign}[0-9]{{3}})+({re.escape(self._decimal)}[0-9]*)?$"
            joined = pc.replace_substring_regex(text, sign, "")
            text = pc.if_else(pc.match_substring_regex(text, grouped), joined, text)
        return text if self._decimal == "." else pc.replace_substring(text, self._decimal, ".")


def is_text(kind: Any) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _cast(text: Any) -> Any:
    """Numbers written as programs do; None unless all are, and none is NaN."""
    if not pa.types.is_string(text.type):
        return None
    with suppress(pa.ArrowInvalid):
        numbers = text.cast(pa.float64())
        if _find_numbers(numbers).false_count == 0:
            return numbers
    return None


def _find_numbers(cells: Any) -> Any:
    return pc.invert(pc.is_nan(cells))


def _read_numbers(text: Any) -> Any:
    with suppress(pa.ArrowInvalid):
        return text.cast(pa.float64())
    is_number = pc.match_substring_regex(text, f"{NUMBER}|{NOT_FINITE}")
    return pc.if_else(is_number, text, None).cast(pa.float64())


def _read_booleans(text: Any) -> Any:
    found = pc.index_in(pc.utf8_lower(text), BOOLEANS)
    return pc.equal(pc.bit_wise_and(found, 1), 1)


def _write_codes(numbers: Any) -> Any:
    """Whole numbers as text without a point; null for others."""
    numbers = numbers.cast(pa.float64())
    is_whole = pc.and_(pc.equal(pc.floor(numbers), numbers), pc.less(pc.abs(numbers), MOST_CODE))
    return pc.if_else(is_whole, numbers, None).cast(pa.int64()).cast(pa.string())


def to_mask(cells: Any) -> Array:
    """An array of booleans, of cells that are not null."""
    mask: Array = cells.to_numpy(zero_copy_only=False)
    return mask
