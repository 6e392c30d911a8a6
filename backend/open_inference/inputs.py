"""Finds a model's features among the tensors of a request."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from errors import InvalidTensors, shorten
from features.binning import Array
from schemas import Boolean, Category, Feature
from serving.inference import Model

Tensors = Sequence[tuple[str, Array]]  # with their names

SHOWN = 20  # names or rows


def arrange_columns(model: Model, tensors: Tensors) -> Array:
    """Shape (n, f), as Model.answer takes it; raises InvalidTensors."""
    features = model.description.features
    columns = _find_columns(model, tensors)
    rows = _count_rows(columns)
    has_text = any(isinstance(feature, Category) for feature in features)
    written = model.description.written
    words = written.missing if written else []
    X = np.full((rows, len(features)), np.nan, dtype=object if has_text else np.float64)
    for index, feature in enumerate(features):
        if feature.name in columns:
            X[:, index] = _check_column(feature, columns[feature.name], words)
    return X


def list_some(items: Sequence[object]) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(shorten(str(item)) for item in items[:SHOWN]) + more


def _find_columns(model: Model, tensors: Tensors) -> dict[str, Array]:
    """A column, shape (n,), for each feature that was sent."""
    names = model.names
    name, values = tensors[0]
    if len(tensors) == 1 and values.shape[1:] == (len(names),):
        return dict(zip(names, values.T, strict=True))
    if len(tensors) == 1 and name not in names:
        raise InvalidTensors(
            f"Input {shorten(name)} has the shape {[*values.shape]}. Send one of shape "
            f"[rows, {len(names)}], or one for each of {list_some(names)}."
        )
    _compare_names([name for name, _ in tensors], model)
    return {name: _flatten(name, values) for name, values in tensors}


def _compare_names(sent: list[str], model: Model) -> None:
    known = set(model.names)
    needed = [feature.name for feature in model.description.features if not feature.nullable]
    faults = {
        "more than once": [name for name, count in Counter(sent).items() if count > 1],
        "of no feature": [name for name in sent if name not in known],
        "missing": [name for name in needed if name not in sent],
    }
    said = [f"Inputs {what}: {list_some(found)}." for what, found in faults.items() if found]
    if said:
        raise InvalidTensors(f"{' '.join(said)} The features are {list_some(model.names)}.")


def _flatten(name: str, values: Array) -> Array:
    if values.shape[1:] not in ((), (1,)):
        message = f"has the shape {[*values.shape]}; a feature's own is [rows] or [rows, 1]"
        raise InvalidTensors(f"Input {shorten(name)} {message}.")
    return values.reshape(-1)


def _count_rows(columns: dict[str, Array]) -> int:
    (first, column), *others = columns.items()
    for name, other in others:
        if len(other) != len(column):
            raise InvalidTensors(
                f"Inputs {shorten(first)} and {shorten(name)} have {len(column)} and {len(other)} "
                "rows. Send as many of each."
            )
    return len(column)


def _check_column(feature: Feature, column: Array, words: Iterable[str]) -> Array:
    """The column as the model takes it; the words stand for a missing value in text."""
    name, is_text = shorten(feature.name), column.dtype == object
    if isinstance(feature, Category) != is_text:
        taken = "numbers" if is_text else "text, in a BYTES tensor of its own"
        raise InvalidTensors(f"{name} takes {taken}.")
    if isinstance(feature, Category):
        column = _read_texts(feature, column, words)
    missing = np.array([value is None for value in column]) if is_text else np.isnan(column)
    if not feature.may_be_missing:
        refuse_rows(missing, f"{name} must not be missing")
    if is_text:
        return np.where(missing, np.nan, column)
    refuse_rows(np.isinf(column), f"{name} must be finite")
    if isinstance(feature, Boolean):
        is_other = ~missing & (column != 0) & (column != 1)
        refuse_rows(is_other, f"{name} must be true or false, or 1 or 0")
    return column


def _read_texts(feature: Category, column: Array, words: Iterable[str]) -> Array:
    """Without blanks around them, and None where they stand for a missing value."""
    missing = {"", *words}.difference(feature.values)
    texts = [text and text.strip() for text in column]
    return np.array([None if text in missing else text for text in texts], dtype=object)


def refuse_rows(wrong: Array, message: str) -> None:
    """Raises InvalidTensors if any row is wrong."""
    if wrong.any():
        rows = list_some(np.flatnonzero(wrong).tolist())
        raise InvalidTensors(f"{message}: see row {rows}, counted from 0.")
