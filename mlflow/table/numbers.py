"""Reads numbers as people write them."""

import re
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

BLANK = r"[\s\p{Z}]"  # of RE2, whose \s is of ASCII alone
INFINITE = "(?i:[+-]?inf(?:inity)?)"  # which people mean as a number, and none is
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_ALIKE = {" ": "[ \u00a0\u202f]", "'": "['’]"}  # signs that stand for each other


class Written(NamedTuple):
    """The signs in a column's numbers, and what stands before or behind them."""

    decimal: str = "."
    thousands: str = ""
    affix: str = ""

    def describe(self) -> dict[str, str]:
        """Only what is not plain; a manifest's `written`.

        A decimal point is told beside blanks or apostrophes: semicolons between the fields of a
        table would else let a comma separate the decimals.
        """
        plain = Written(decimal="" if self.thousands in _ALIKE else ".")._asdict()
        return {key: sign for key, sign in self._asdict().items() if sign != plain[key]}


PLAIN = Written()


def read_numbers(texts: pd.Series, written: Written) -> pd.Series:
    """Floats; NaN where a text is missing or no number. The backend reads by the same rule."""
    cells = pa.array(texts.astype("str"))
    numbers = None if written != PLAIN else _cast_all(cells)
    if numbers is None:
        cells = pc.replace_substring_regex(_strip_affix(cells, written.affix), "^\u2212", "-")
        cells = _join_thousands(cells, written)
        if written.decimal == ",":
            cells = pc.replace_substring(cells, ",", ".")
        numbers = _cast(cells)
    floats = numbers.to_numpy(zero_copy_only=False).astype("float64")
    return pd.Series(floats, index=texts.index, name=texts.name)


def escape(sign: str) -> str:
    """A pattern for the sign and those that stand for the same."""
    return _ALIKE.get(sign, re.escape(sign))


def _strip_affix(cells: pa.Array, affix: str) -> pa.Array:
    if not affix:
        return cells
    sign = escape(affix)
    before, behind = f"([+\u2212-]?){BLANK}*{sign}{BLANK}*(.*)", f"(.*?){BLANK}*{sign}"
    return pc.replace_substring_regex(cells, f"(?s)^(?:{before}|{behind})$", r"\1\2\3")


def _join_thousands(cells: pa.Array, written: Written) -> pa.Array:
    if not written.thousands:
        return cells
    sign, decimal = escape(written.thousands), escape(written.decimal)
    grouped = rf"^[+-]?\d{{1,3}}({sign}\d{{3}})+({decimal}\d*)?$"
    joined = pc.replace_substring_regex(cells, sign, "")
    return pc.if_else(pc.match_substring_regex(cells, grouped), joined, cells)


def _cast(cells: pa.Array) -> pa.Array:
    numbers = _cast_all(cells)
    if numbers is not None:
        return numbers
    is_number = pc.match_substring_regex(cells, _NUMBER)
    return pc.cast(pc.if_else(is_number, cells, None), pa.float64())


def _cast_all(cells: pa.Array) -> pa.Array | None:
    """None if not every cell is a number; Arrow also takes nan and inf, which none is here."""
    try:
        numbers = pc.cast(cells, pa.float64())
    except pa.ArrowInvalid:
        return None
    return numbers if pc.all(pc.is_finite(numbers)).as_py() in (True, None) else None
