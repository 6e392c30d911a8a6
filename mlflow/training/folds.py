"""Deals rows into parts to train on and to test on, and equal rows into the same."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from table.dataset import Dataset

Rows = npt.NDArray[np.intp]


class Fold(NamedTuple):
    """Row numbers."""

    train: Rows
    test: Rows


class Splitter(Protocol):
    """One of scikit-learn's, which makes folds of rows that it takes for independent."""

    def split(self, X: Any, y: Any) -> Iterator[tuple[Rows, Rows]]: ...


def deal(dataset: Dataset, instances: Rows, splitter: Splitter) -> list[Fold]:
    """Folds of the instances, each under its first label; all rows of an instance go with it."""
    firsts = np.unique(instances, return_index=True)[1]
    folds = splitter.split(firsts, dataset.y.iloc[firsts])
    return [Fold(*(_find_rows(part, instances) for part in fold)) for fold in folds]


def number_instances(dataset: Dataset, folds: int) -> Rows:
    """The number of each row's instance, shape (n,), from 0 on as they come.

    Equal rows are one instance, but not those of a class that has too few for so many folds: a
    part without a class measures nothing.
    """
    instances = number_rows(dataset.X)
    apart = dataset.y.isin(find_scarce(dataset, instances, folds)).to_numpy()
    rows = np.arange(len(instances))
    return pd.factorize(np.where(apart, -1 - rows, instances))[0]


def number_rows(X: pd.DataFrame) -> Rows:
    """The number of each row's values, from 0 on as they come; NaN equals NaN."""
    groups = X.groupby(list(X.columns), dropna=False, sort=False)
    return np.asarray(groups.ngroup(), dtype=np.intp)


def find_scarce(dataset: Dataset, instances: Rows, folds: int) -> list[str]:
    """The classes that come first in fewer instances than there are folds."""
    firsts = np.unique(instances, return_index=True)[1]
    counts = dataset.y.iloc[firsts].value_counts()
    return [label for label in dataset.classes if counts.get(label, 0) < folds]


def _find_rows(part: Rows, instances: Rows) -> Rows:
    """The rows of a part's instances, in the part's order."""
    places = np.full(instances.max() + 1, -1)
    places[part] = np.arange(len(part))
    places = places[instances]
    rows = np.flatnonzero(places >= 0)
    return rows[np.argsort(places[rows], kind="stable")]
