"""The cells of a column: which are missing, and how each is written as text."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow.csv

from errors import UnusableTable
from table.phrases import quote

# What stands in a table for a missing value. The manifest tells these words to the backend.
MISSING = (*pyarrow.csv.ConvertOptions().null_values, "?", "<NA>", "None")

_EXACT = 2**53  # from here on, not every whole number is a float


def blank_missing(values: pd.Series, is_code: bool = False) -> pd.Series:
    """The words for missing become NaN; of codes, an empty text alone. Raises UnusableTable."""
    if not _may_hold_texts(values):
        return values
    if values.dtype == object:
        _refuse_lists(values)
    is_word = values.isin(("",) if is_code else MISSING)
    return values.mask(is_word) if is_word.any() else values


def find_texts(values: pd.Series) -> pd.Series:
    """Only the cells of text, however a column holds them; none of a categorical column."""
    if isinstance(values.dtype, pd.StringDtype):
        return values.dropna()
    if values.dtype != object:
        return pd.Series(dtype="str")
    return values[values.map(lambda value: isinstance(value, str))].astype("str")


def read_texts(values: pd.Series) -> pd.Series:
    """Each value as a person writes it: whole numbers without decimals."""
    if isinstance(values.dtype, pd.StringDtype):
        return values
    texts = values.astype(object).where(values.notna(), np.nan)
    return texts.map(_write, na_action="ignore").astype("str")


def _may_hold_texts(values: pd.Series) -> bool:
    return isinstance(values.dtype, pd.StringDtype | pd.CategoricalDtype) or values.dtype == object


def _refuse_lists(values: pd.Series) -> None:
    try:
        values.map(hash)
    except TypeError:
        message = f"Column {values.name} holds lists or the like, not single values"
        advice = f"Spread it over columns, or --drop {quote(values.name)}"
        raise UnusableTable(f"{message}. {advice}.") from None


def _write(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    return str(value)
