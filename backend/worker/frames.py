"""Has estimators that were fitted on data frames answer arrays, as pandas is not here."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer


def take_arrays(estimator: Any) -> None:
    """Choose columns by their places in place of their names, and make no data frames."""
    for part in walk(estimator):
        vars(part).pop("_sklearn_output_config", None)  # of set_output
        if isinstance(part, ColumnTransformer) and "transformers_" in vars(part):
            places = part._transformer_to_input_indices
            part.transformers_ = [
                (name, fitted, _place(columns, places.get(name)))
                for name, fitted, columns in part.transformers_
            ]


def find_text(estimator: Any) -> str | None:
    """A value of a column of text that the estimator was fitted on, if there is one."""
    for part in walk(estimator):
        for known in vars(part).get("categories_", ()):
            for value in known:
                if isinstance(value, str):
                    return value
    return None


def walk(estimator: Any) -> Iterator[Any]:
    """The estimator and every object of scikit-learn within it, each once."""
    seen: set[int] = set()
    left = [estimator]
    while left:
        thing = left.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if type(thing).__module__.startswith("sklearn.") and hasattr(thing, "__dict__"):
            yield thing
        left += _list_within(thing)


def _list_within(thing: Any) -> Iterable[Any]:
    if isinstance(thing, (list, tuple)):
        return thing
    if isinstance(thing, dict):
        return thing.values()
    is_ours = type(thing).__module__.startswith("sklearn.")
    return list(getattr(thing, "__dict__", {}).values()) if is_ours else ()


def _place(columns: Any, places: list[int] | None) -> Any:
    """A single column that is not in a list is given to its transformer as one dimension."""
    if not places:
        return columns
    return places[0] if np.isscalar(columns) else places
