"""Recognises columns that number the rows, or give the answer away."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier

from errors import UnusableTable
from table.columns import Column
from table.phrases import quote

# A column of whole numbers tells the classes alone if a tree on it, with a leaf for each class, is
# right in this share of the rows, and wrong in at most this share of those in which the most
# frequent class is wrong.
TELLING = 0.95
FAR_BELOW = 0.25
_ROWS = 10_000  # that the tree sees

_ROW_NAMES = re.compile(
    r"index|row(?:_\d+)?|row[._ ]?(?:names?|numbers?|num|index)|unnamed: ?\d+(?:\.\d+)*|"
    r"(?:__index_)?level_\d+(?:__)?"
)
_LAST = ("id", "ids", "no", "nr", "num", "number", "nummer", "key", "uid", "guid")
_RUN_TOGETHER = re.compile(
    "(?:account|case|client|customer|device|employee|house|item|loan|member|movie|order|passenger|"
    "patient|person|player|policy|product|record|respondent|row|sample|seq|serial|session|song|"
    "store|student|subject|team|ticket|track|transaction|user)(?:id|no|nr|num|number)"
)
_CODE = re.compile(
    "zip|zips|plz|postcode|postalcode|postleitzahl|postal|phone|telephone|tel|fax|mobile|fips|isbn|"
    "ean|gtin|sku|cap|.*code|.*codes|zipcode"
)


def are_row_numbers(numbers: pd.Series) -> bool:
    """Whole numbers all different, called so or without a gap; of all rows of the table."""
    if not are_all_different(numbers):
        return False
    if _is_called_so(str(numbers.name)):
        return True
    lowest, highest = numbers.min(), numbers.max()
    if numbers.isna().any() or highest - lowest != len(numbers) - 1:
        return False
    return lowest in (0, 1) or numbers.is_monotonic_increasing or numbers.is_monotonic_decreasing


def are_whole(numbers: pd.Series) -> bool:
    """Whether none that is there has a fraction."""
    present = numbers.dropna()
    return bool((present == np.floor(present)).all())


def are_all_different(numbers: pd.Series) -> bool:
    """Whether they are whole, and none is there twice."""
    present = numbers.dropna()
    return bool(len(present)) and are_whole(present) and present.is_unique


def is_called_code(name: str) -> bool:
    """Whether its numbers may be codes: a zip code, a phone."""
    return any(_CODE.fullmatch(word) for word in _split(name))


def require_no_answers(columns: dict[str, Column], labels: pd.Series, keep: Sequence[str]) -> None:
    """Raise UnusableTable for a column that is the target, or nearly, unless it is in `keep`."""
    for name, column in columns.items():
        if name in keep:
            continue
        _refuse_leak(name, column, labels)
        if column.kind == "number" and _tells_alone(column.values, labels):
            message = f"Column {name} holds whole numbers, all different, that tell {labels.name}"
            advice = f"If they number the rows, --drop {quote(name)}; if not"
            raise UnusableTable(f"{message} nearly alone. {advice}, --keep {quote(name)}.")


def _refuse_leak(name: str, column: Column, labels: pd.Series) -> None:
    """A column with as many values as there are classes, one for each, is the target itself."""
    values, classes = column.values, labels.nunique()
    if values.head(_ROWS).nunique() > classes or values.isna().any() or values.nunique() != classes:
        return
    if (values.groupby(labels).nunique() == 1).all():
        what = "is" if column.kind == "category" else "tells"
        message = f"Column {name} {what} {labels.name} under another name"
        advice = f"It is the answer itself: --drop {quote(name)}, or --keep {quote(name)}"
        raise UnusableTable(f"{message}: each of its values goes with one class. {advice}.")


def _tells_alone(numbers: pd.Series, labels: pd.Series) -> bool:
    if not are_all_different(numbers):
        return False
    rows = np.linspace(0, len(labels) - 1, min(len(labels), _ROWS)).astype(np.intp)
    y = labels.iloc[rows]
    X = numbers.fillna(numbers.median()).iloc[rows].to_numpy().reshape(-1, 1)
    tree = DecisionTreeClassifier(max_leaf_nodes=labels.nunique(), random_state=0)
    wrong = 1 - tree.fit(X, y).score(X, y)
    baseline = 1 - y.value_counts(normalize=True).max()
    return bool(wrong <= min(1 - TELLING, FAR_BELOW * baseline))


def _is_called_so(name: str) -> bool:
    if _ROW_NAMES.fullmatch(name.casefold()):
        return True
    words = _split(name)
    is_last = words[-1:] in [[last] for last in _LAST]
    return is_last or words[:1] == ["id"] or bool(_RUN_TOGETHER.fullmatch("".join(words)))


def _split(name: str) -> list[str]:
    """The words of a name, as in PassengerId, customer_id and ZIP code."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return [word.casefold() for word in re.split(r"[\W_]+", apart) if word]
