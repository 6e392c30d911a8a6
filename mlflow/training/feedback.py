"""Adds the backend's labelled predictions to a dataset."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd

from table.columns import MAX_NUMBER, Kind
from table.dataset import Dataset
from training.folds import number_rows
from training.labels import LabelledPrediction


class Addition(NamedTuple):
    """The dataset with the rows added, and why the other predictions were not, with how many."""

    dataset: Dataset
    left_out: Counter[str]


def add_feedback(dataset: Dataset, labelled: list[LabelledPrediction]) -> Addition:
    """`labelled` are oldest first. What a column is, the dataset alone has decided."""
    classes = set(dataset.classes)
    faults = [_find_fault(it, dataset.kinds, classes) for it in labelled]
    fitting = [it for it, fault in zip(labelled, faults, strict=True) if fault is None]
    X, y = _tabulate(fitting, dataset)
    fates = _find_repeats(dataset, X, y)
    new = [fate is None for fate in fates]
    left_out = Counter(it for it in [*fates, *faults] if it is not None)
    return Addition(_append(dataset, X[new], y[new]), left_out)


def _find_fault(
    labelled: LabelledPrediction, kinds: dict[str, Kind], classes: set[str]
) -> str | None:
    if labelled.inputs.keys() != kinds.keys():
        return "of other features"
    if labelled.label not in classes:
        return "of another class"
    values = ((_FITS[kinds[name]], value) for name, value in labelled.inputs.items())
    if not all(value is None or fits(value) for fits, value in values):
        return "with a value of another kind"
    return None


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= MAX_NUMBER


def _is_text(value: Any) -> bool:
    # JSON can hold half a character, which no column can.
    return isinstance(value, str) and not re.search("[\ud800-\udfff]", value)


_FITS: dict[Kind, Callable[[Any], bool]] = {
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "category": _is_text,
}


def _tabulate(
    labelled: list[LabelledPrediction], dataset: Dataset
) -> tuple[pd.DataFrame, pd.Series]:
    """Features and labels as the dataset holds them."""
    columns = {
        name: pd.Series([it.inputs[name] for it in labelled], dtype=dataset.X[name].dtype)
        for name in dataset.kinds
    }
    labels = pd.Series([it.label for it in labelled], dtype=dataset.y.dtype, name=dataset.y.name)
    return pd.DataFrame(columns), labels


def _find_repeats(dataset: Dataset, X: pd.DataFrame, y: pd.Series) -> list[str | None]:
    """Of each row why it tells nothing new; None where it does."""
    instances = number_rows(pd.concat([dataset.X, X], ignore_index=True)).tolist()
    known = set(zip(instances, dataset.y, strict=False))
    sent = list(zip(instances[len(dataset.X) :], y, strict=True))
    latest = dict(sent)
    fates: list[str | None] = []
    for instance, label in sent:
        if latest[instance] != label:
            fates.append("labelled anew later")
        elif (instance, label) in known:
            fates.append("there already")
        else:
            known.add((instance, label))
            fates.append(None)
    return fates


def _append(dataset: Dataset, X: pd.DataFrame, y: pd.Series) -> Dataset:
    if X.empty:
        return dataset
    whole = pd.concat([dataset.X, X], ignore_index=True)
    rows = [X.astype(object).to_numpy().tolist(), y.tolist()]
    content = dataset.sha256 + json.dumps(rows)
    return replace(
        dataset,
        X=whole,
        y=pd.concat([dataset.y, y], ignore_index=True),
        nullable=[name for name in whole.columns if whole[name].isna().any()],
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        feedback_rows=len(X),
    )
