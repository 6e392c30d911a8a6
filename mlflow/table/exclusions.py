"""Decides which columns a classifier can learn from."""

from collections.abc import Callable, Iterator

from errors import UnusableTable
from table.choices import Choices
from table.columns import MAX_NUMBER, Column
from table.dates import are_days
from table.identifiers import are_all_different, are_whole, is_called_code
from table.notation import list_units, sample
from table.phrases import count, enumerate_all, quote

MAX_TEXTS = 100  # more different texts, in more than half of the rows, are no categories
TOLD = 3  # units or columns at most

_DATES = "it holds dates, and the future has others; give numbers made of them, like an age"


class LeftOut(Exception):
    """The column can teach a classifier nothing; the message says why."""


def select_columns(
    columns: dict[str, Column], choices: Choices, numbers_rows: Callable[[str, Column], bool]
) -> tuple[dict[str, Column], list[str]]:
    """The columns to learn from, and remarks about them and the others.

    `numbers_rows` is asked about columns of whole numbers, all different. Raises UnusableTable if
    a person has to decide what to do.
    """
    selected, remarks = {}, []
    for name, column in columns.items():
        is_kept = name in choices.keep
        try:
            _require_variety(column)
            if column.kind == "number":
                _require_numbers(name, column, columns)
                if not is_kept and are_all_different(column.values) and numbers_rows(name, column):
                    raise LeftOut(f"it numbers the rows (--keep {quote(name)} keeps it)")
            elif name not in choices.categories and not is_kept:
                _require_repeats(column)
        except LeftOut as reason:
            remarks.append(f"Column {name} is left out: {reason}.")
        else:
            selected[name] = column
            if name not in choices.categories:
                remarks += _hint(name, column)
    if not selected:
        raise UnusableTable(" ".join(["No column is left to learn from.", *remarks]))
    return selected, remarks


def _require_variety(column: Column) -> None:
    if column.kind == "dates":
        raise LeftOut(_DATES)
    if len(column.strays):
        return
    present = column.values.dropna()
    if present.empty:
        raise LeftOut("it holds nothing")
    if len(present) == len(column.values) and (present == present.iloc[0]).all():
        raise LeftOut("it holds one value only")


def _require_numbers(name: str, column: Column, columns: dict[str, Column]) -> None:
    if len(strays := column.strays):
        present = len(strays) + column.values.count()
        message = (
            f"Column {name} holds numbers, but for {len(strays)} of {count(present, 'value')}: "
            f"{str(strays.iloc[0])!r} in row {strays.index[0] + 1} below the header"
        )
        what = "it or leave it" if len(strays) == 1 else "them or leave them"
        advice = f"Correct {what} empty; if these are codes, --category {quote(name)}"
        raise UnusableTable(f"{message}. {advice}; else --drop {quote(name)}.{_name_like(columns)}")
    if (column.values.abs() > MAX_NUMBER).any():
        message = f"Column {name} holds infinite or nearly infinite numbers"
        advice = f"Leave them empty where they mean nothing, or --drop {quote(name)}"
        raise UnusableTable(f"{message}. {advice}.")
    if are_days(column.values):
        raise LeftOut(_DATES)


def _name_like(columns: dict[str, Column]) -> str:
    """The columns of numbers that hold other things too, if there are several."""
    names = [name for name, column in columns.items() if len(column.strays)]
    if len(names) == 1:
        return ""
    told = [*names[:TOLD], f"{len(names) - TOLD} more"] if len(names) > TOLD else names
    return f" {len(names)} columns hold such cells: {enumerate_all(told)}."


def _require_repeats(column: Column) -> None:
    if column.kind != "category":
        return
    present = column.values.dropna()
    different = present.nunique()
    if different == len(present):
        raise LeftOut("its texts are all different, so they name the rows")
    if different > max(MAX_TEXTS, len(present) / 2):
        raise LeftOut(f"it holds {different} different texts, too many to learn from")


def _hint(name: str, column: Column) -> Iterator[str]:
    """What a person may have meant by the column."""
    option = f"--category {quote(name)}"
    if column.is_padded:
        yield (
            f"Column {name} is read as text, because its whole numbers have leading zeros. "
            f"Add {option} to say that they are codes."
        )
    elif column.kind == "number" and is_called_code(name) and are_whole(column.values):
        yield f"Column {name} is read as numbers. If they are codes, add {option}."
    elif column.kind == "category" and (units := list_units(sample(column.values.dropna()))):
        told = enumerate_all(map(repr, units[:TOLD]))
        yield (
            f"Column {name} is read as text, because its numbers have different units: {told}. "
            f"Add {option} to say that they are categories."
        )
