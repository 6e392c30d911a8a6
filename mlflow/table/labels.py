"""Reads the column to predict."""

import numpy as np
import pandas as pd

from errors import UnusableTable
from table.cells import blank_missing, find_texts, read_texts
from table.columns import read_quantities
from table.notation import decide, examine, sample
from table.numbers import INFINITE
from table.phrases import count, enumerate_all, quote

MIN_ROWS = 20
MIN_CLASS_ROWS = 5  # one for each fold of the comparison
MAX_CLASSES = 100
MAX_NUMERIC_CLASSES = 20  # different fractions; more are measurements
OTHER = "other"  # the class that --merge-rare makes
_TOLD = 10  # rare classes at most


def find_labelled(cells: pd.Series, is_code: bool) -> pd.Series:
    """Which rows have a label; raises UnusableTable if labels are lists."""
    try:
        return blank_missing(cells, is_code).notna()
    except UnusableTable:
        message = f"Column {cells.name} holds lists or the like, not labels"
        raise UnusableTable(f"{message}. Take another column as the target.") from None


def read_labels(cells: pd.Series, is_code: bool, merge_rare: bool) -> tuple[pd.Series, list[str]]:
    """The labels that are there, as strings, and remarks; raises UnusableTable.

    Labels are read letter by letter with `is_code`.
    """
    labels = blank_missing(cells, is_code).dropna()
    remarks = _tell_missing(cells.drop(labels.index))
    labels = read_texts(labels) if is_code else _write(labels)
    if len(labels) < MIN_ROWS:
        message = f"Column {cells.name} has labels in {count(len(labels), 'row')}"
        raise UnusableTable(f"{message}; a comparison needs {MIN_ROWS} at least. Add rows.")
    if merge_rare:
        labels, merged = _merge_rare(labels)
        remarks += merged
    _require_classes(labels)
    return labels, remarks


def _tell_missing(cells: pd.Series) -> list[str]:
    if cells.empty:
        return []
    verb = "is" if len(cells) == 1 else "are"
    remark = f"{count(len(cells), 'row')} without a label in {cells.name} {verb} left out"
    words = cells.value_counts()
    if words.empty:
        return [f"{remark}."]
    told = enumerate_all(f"{n:,} with {word}" for word, n in words.items())
    what = "that is a class" if len(words) == 1 else "these are classes"
    return [f"{remark}: {told}. If {what}, add --category {quote(cells.name)}."]


def _write(labels: pd.Series) -> pd.Series:
    """Numbers and truths as a person writes them, other texts as they stand."""
    texts = find_texts(labels)
    written = decide(examine(sample(texts)), commas_shown=False, semicolons=False)
    numbers = read_quantities(labels, written)
    is_infinite = texts.str.fullmatch(INFINITE)
    numbers.loc[texts.index[is_infinite]] = np.inf
    if labels.empty or numbers.isna().any():
        return _write_truths(read_texts(labels))
    _refuse_quantities(labels, numbers)
    # 01 is no 1, and 5 kg stays what it is.
    as_written = written.affix or written.thousands or texts.str.match("0[0-9]").any()
    return read_texts(labels if as_written else numbers)


def _write_truths(texts: pd.Series) -> pd.Series:
    lowered = texts.str.lower()
    return texts.str.capitalize() if set(lowered.unique()) <= {"true", "false"} else texts


def _refuse_quantities(labels: pd.Series, numbers: pd.Series) -> None:
    if len(infinite := labels[np.isinf(numbers)]):
        label, row = str(infinite.iloc[0]), infinite.index[0] + 1
        message = f"Label {label!r} of {labels.name} in row {row} below the header is no number"
        advice = f"Correct it or leave it empty; if it is a class, --category {quote(labels.name)}"
        raise UnusableTable(f"{message}. {advice}.")
    different = numbers.nunique()
    if different > MAX_NUMERIC_CLASSES and (numbers % 1 != 0).any():
        _refuse_too_many(labels, f"{different} different numbers")


def _merge_rare(labels: pd.Series) -> tuple[pd.Series, list[str]]:
    counts = labels.value_counts()
    rare = counts.index[counts < MIN_CLASS_ROWS]
    if rare.empty:
        return labels, []
    classes = f"{'Class' if len(rare) == 1 else 'Classes'} {enumerate_all(sorted(map(repr, rare)))}"
    are = "is" if len(rare) == 1 else "are"
    remark = f"{classes} of {labels.name}, with fewer than {MIN_CLASS_ROWS} rows, {are} merged"
    return labels.mask(labels.isin(rare), OTHER), [f"{remark} into {OTHER}."]


def _require_classes(labels: pd.Series) -> None:
    counts = labels.value_counts()
    if len(counts) < 2:  # noqa: PLR2004
        message = f"Column {labels.name} holds only {counts.index[0]!r}"
        raise UnusableTable(f"{message}. A classifier needs two classes; add rows of another.")
    if len(counts) > MAX_CLASSES:
        _refuse_too_many(labels, f"{len(counts)} different labels")
    if len(rare := counts[counts < MIN_CLASS_ROWS]):
        _refuse_rare(labels, rare)


def _refuse_rare(labels: pd.Series, rare: pd.Series) -> None:
    named = [f"{label!r} ({count(rows, 'row')})" for label, rows in rare.items()]
    if len(named) > _TOLD:
        named[_TOLD:] = [f"{len(named) - _TOLD} more"]
    classes = f"{'Class' if len(rare) == 1 else 'Classes'} {enumerate_all(named)}"
    have = "has" if len(rare) == 1 else "have"
    few = f"fewer than {MIN_CLASS_ROWS} rows, one for each fold"
    message = f"{classes} of {labels.name} {have} {few}"
    advice = "Add rows, merge classes, or take their rows out"
    if rare.sum() >= MIN_CLASS_ROWS:
        advice = "Add rows, or make one class of them with --merge-rare"
    raise UnusableTable(f"{message}. {advice}.")


def _refuse_too_many(labels: pd.Series, what: str) -> None:
    message = f"Column {labels.name} holds {what}: too many for classes"
    advice = "Group them into a few, or take another column as the target"
    raise UnusableTable(f"{message}. {advice}.")
