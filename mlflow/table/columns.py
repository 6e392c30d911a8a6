"""Finds out what a column of a table is, and cleans it."""

from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.csv

from errors import UnusableTable

MOSTLY_NUMBERS = 0.5  # a column of which more than this share are numbers was meant as numbers

# What stands in a CSV file for a missing value. The manifest tells these words to the backend.
MISSING = (*pyarrow.csv.ConvertOptions().null_values, "?", "<NA>", "None")

MAX_NUMBER = 1e150  # the square of a larger one overflows
MAX_TEXTS = 100  # more different texts, in more than half of the rows, are no categories

Kind = Literal["number", "boolean", "category"]

_DATE = r"\d{4}-\d{1,2}-\d{1,2}([T ].*)?|\d{1,2}[./-]\d{1,2}[./-](\d{4}|\d{2})([T ].*)?"


class LeftOut(Exception):
    """The column can teach a classifier nothing; the message says why."""


class Column(NamedTuple):
    """Numbers and booleans as floats, categories as strings; what is missing is NaN."""

    kind: Kind
    values: pd.Series


def read_cells(texts: pd.Series, is_code: bool) -> pd.Series:
    """Numbers and booleans of a column that holds nothing else, as texts; NaN where missing."""
    if not isinstance(texts.dtype, pd.StringDtype):
        return texts
    texts = texts.mask(texts.isin(MISSING))
    present = texts.dropna()
    if is_code:
        return texts
    if present.empty:
        return texts.astype("float64")
    if present.str.lower().isin(["true", "false"]).all():
        return texts.str.lower().map({"true": True, "false": False})
    if present.str.fullmatch(r"-?\d+,\d+").all():
        texts = texts.str.replace(",", ".")
    try:
        return pd.to_numeric(texts)
    except ValueError:
        return texts


def read_column(values: pd.Series, is_code: bool) -> Column:
    """Raises LeftOut, or UnusableTable if a person has to decide what to do.

    With `is_code` the column holds categories, whatever they look like.
    """
    _require_variety(values)
    if is_code:
        return Column("category", read_texts(values))
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind == "boolean":
        return Column("boolean", values.astype("boolean").astype("float64"))
    if kind in ("integer", "floating", "mixed-integer-float", "decimal"):
        return Column("number", _read_numbers(values))
    if kind in ("string", "categorical", "mixed-integer", "mixed"):
        return Column("category", _read_categories(values))
    if kind.startswith(("date", "time", "period")):
        raise LeftOut(_DATES)
    message = f"Column {values.name} holds {kind} values, which no classifier here takes"
    raise UnusableTable(f"{message}. Make numbers or text of it, or --drop {quote(values.name)}.")


def read_texts(values: pd.Series) -> pd.Series:
    """Each value as a person writes it: whole numbers without decimals."""
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")
    texts = values.astype(object).where(values.notna(), np.nan)
    return texts.map(str, na_action="ignore").astype("str")


def quote(name: Any) -> str:
    """A column's name as an argument of a command."""
    text = str(name)
    return text if text.isidentifier() else f"'{text}'"


_DATES = "it holds dates, and the future has others; give numbers made of them, like an age"


def _require_variety(values: pd.Series) -> None:
    present = values.dropna()
    if present.empty:
        raise LeftOut("it holds nothing")
    try:
        different = present.nunique()
    except TypeError:  # lists and the like
        message = f"Column {values.name} holds lists or the like, not single values"
        raise UnusableTable(
            f"{message}. Spread it over columns, or --drop {quote(values.name)}."
        ) from None
    if different == 1 and len(present) == len(values):
        raise LeftOut("it holds one value only")


def _read_numbers(values: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(values.astype(object).where(values.notna(), np.nan)).astype("float64")
    if (numbers.abs() > MAX_NUMBER).any():
        message = f"Column {values.name} holds infinite or nearly infinite numbers"
        advice = f"Leave them empty where they mean nothing, or --drop {quote(values.name)}"
        raise UnusableTable(f"{message}. {advice}.")
    if _are_identifiers(numbers):
        raise LeftOut("it numbers the rows")
    return numbers


def _are_identifiers(numbers: pd.Series) -> bool:
    """Whole numbers, all different, that go up by one or are called an id."""
    if numbers.isna().any() or not numbers.is_unique or (numbers % 1 != 0).any():
        return False
    name = str(numbers.name).lower()
    return bool((numbers.diff().dropna() == 1).all()) or name == "id" or name.endswith("_id")


def _read_categories(values: pd.Series) -> pd.Series:
    texts = read_texts(values)
    present = texts.dropna()
    _refuse_dirty_numbers(present)
    if present.str.fullmatch(_DATE).all():
        raise LeftOut(_DATES)
    different = present.nunique()
    if different == len(present):
        raise LeftOut("its texts are all different, so they name the rows")
    if different > max(MAX_TEXTS, len(present) / 2):
        raise LeftOut(f"it holds {different} different texts, too many to learn from")
    return texts


def _refuse_dirty_numbers(texts: pd.Series) -> None:
    numbers = pd.to_numeric(texts, errors="coerce")
    share = numbers.notna().mean()
    if not MOSTLY_NUMBERS < share < 1:
        return
    strange = texts[numbers.isna()]
    row, name = strange.index[0], quote(texts.name)
    message = (
        f"Column {texts.name} holds numbers, but for {len(strange)} of {len(texts)} values: "
        f"{strange.iloc[0]!r} in row {row + 1} below the header"
    )
    advice = f"Correct them or leave them empty; if they are codes, --category {name}"
    raise UnusableTable(f"{message}. {advice}; else --drop {name}.")
