"""Finds out what each column of a table holds."""

from collections import Counter
from collections.abc import Sequence
from numbers import Number
from typing import Any, Literal, NamedTuple

import pandas as pd

from errors import UnusableTable
from table.cells import blank_missing, find_texts, read_texts
from table.dates import is_date
from table.notation import MOSTLY, infer_written, sample
from table.numbers import PLAIN, Written, read_numbers
from table.phrases import quote

MAX_NUMBER = 1e150  # the square of a larger one overflows

Kind = Literal["number", "boolean", "category", "dates"]

_NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal")
_NO_CELLS = pd.Series(dtype=object)


class Column(NamedTuple):
    """Numbers and booleans as floats, categories as strings; what is missing is NaN.

    `strays` are the cells of a column of numbers that are none. `is_padded` says of a category
    that it holds whole numbers with leading zeros.
    """

    kind: Kind
    values: pd.Series
    written: Written = PLAIN
    strays: pd.Series = _NO_CELLS
    is_padded: bool = False


def read_columns(frame: pd.DataFrame, codes: Sequence[str], semicolons: bool) -> dict[str, Column]:
    """Each column by its cells, and by the signs that the table has elsewhere.

    The columns in `codes` hold categories, whatever they look like. `semicolons` says that these
    separate the table's fields. Raises UnusableTable if a column holds what no classifier takes.
    """
    columns = {name: blank_missing(frame[name], name in codes) for name in frame.columns}
    texts = {name: find_texts(columns[name]) for name in columns if name not in codes}
    written = infer_written({name: one for name, one in texts.items() if len(one)}, semicolons)
    return {
        name: _read_column(values, texts.get(name), written.get(name))
        for name, values in columns.items()
    }


def read_quantities(values: pd.Series, written: Written) -> pd.Series:
    """Floats, NaN where a cell is missing or no number: another text, a date, true or false."""
    if pd.api.types.is_any_real_numeric_dtype(values):
        return values.astype("float64")
    texts = find_texts(values)
    numbers = read_numbers(texts, written).reindex(values.index)
    if values.dtype == object:
        others = values[values.map(_is_number)]
        numbers.loc[others.index] = others.astype("float64")
    return numbers


def _is_number(value: Any) -> bool:
    return isinstance(value, Number) and not isinstance(value, bool)


def _read_column(values: pd.Series, texts: pd.Series | None, written: Written | None) -> Column:
    if texts is None:
        return Column("category", _read_codes(values))
    if written is None:
        return _read_typed(values)
    if _are_truths(values, texts):
        truths = read_texts(values).str.lower().map({"true": 1.0, "false": 0.0})
        return Column("boolean", truths.astype("float64"))
    return _read_written(values, texts, written)


def _read_written(values: pd.Series, texts: pd.Series, written: Written) -> Column:
    """Numbers, if most of the cells are, else dates or categories."""
    numbers = read_quantities(values, written)
    strays = values[values.notna() & numbers.isna()]
    if (len(strays) or written.affix) and _are_dates(values, texts):
        return Column("dates", values)
    if len(strays) >= (1 - MOSTLY) * values.count():
        return Column("category", read_texts(values))
    if _are_padded(texts.drop(strays.index, errors="ignore")):
        return Column("category", read_texts(values), is_padded=True)
    return Column("number", numbers, written, strays)


def _read_typed(values: pd.Series) -> Column:
    """A column without texts, or with categories that were declared."""
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind == "boolean":
        return Column("boolean", values.astype("boolean").astype("float64"))
    if kind in _NUMBERS:
        return Column("number", read_quantities(values, PLAIN))
    if kind in ("empty", "string", "categorical", "mixed-integer", "mixed"):
        return Column("category", _read_codes(values))
    if kind.startswith(("date", "time", "period")):
        return Column("dates", values)
    message = f"Column {values.name} holds {kind} values, which no classifier here takes"
    raise UnusableTable(f"{message}. Make numbers or text of it, or --drop {quote(values.name)}.")


def _read_codes(values: pd.Series) -> pd.Series:
    """Texts; raises UnusableTable for a column of other things than texts and whole numbers."""
    if not isinstance(values.dtype, pd.StringDtype):
        present = values.dropna().astype(object)
        odd = present[~present.map(_is_code).astype(bool)]
        if len(odd) and find_texts(present).empty:  # beside a text, all cells are read as text
            message = f"Column {values.name} holds {odd.iloc[0]} in row {odd.index[0] + 1} below"
            advice = f"Make text of its cells, or --drop {quote(values.name)}"
            raise UnusableTable(f"{message} the header, which is no code. {advice}.")
    return read_texts(values)


def _is_code(value: Any) -> bool:
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return isinstance(value, str) or (is_whole and not isinstance(value, bool))


def _are_truths(values: pd.Series, texts: pd.Series) -> bool:
    if texts.iloc[0].lower() not in ("true", "false"):
        return False
    return set(read_texts(values).dropna().str.lower().unique()) <= {"true", "false"}


def _are_dates(values: pd.Series, texts: pd.Series) -> bool:
    """Whether most of the cells are, be they of text or not."""
    cells = sample(texts)
    share = Counter({text: n for text, n in cells.items() if is_date(text)}).total() / cells.total()
    others = values.drop(texts.index).dropna()
    kind = pd.api.types.infer_dtype(others) if len(others) else ""
    dates = share * len(texts) + len(others) * kind.startswith(("date", "time"))
    return bool(dates > MOSTLY * values.count())


def _are_padded(numbers: pd.Series) -> bool:
    """Whether these texts are whole numbers, some with leading zeros."""
    is_padded = numbers.str.match("0[0-9]").any()
    return bool(is_padded and numbers.str.fullmatch("[0-9]+").all())
