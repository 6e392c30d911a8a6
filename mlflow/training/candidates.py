"""Lists the pipelines that are compared."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from table.dataset import Dataset

MAX_CATEGORIES = 100  # of one column; rarer ones are taken together
KERNEL_POINTS = 500
MAX_LEAVES = 2_000  # of a tree, so that a forest on a large table is megabytes and not gigabytes


@dataclass(frozen=True, eq=False)
class Candidate:
    """A classifier and the few values that are tried of its parameters, the default first.

    `scaled` says that it measures distances, so that features need one scale. `max_rows` is what
    it can be trained on in minutes and megabytes.
    """

    name: str
    classifier: BaseEstimator
    grid: Mapping[str, list[Any]] = field(default_factory=dict)
    scaled: bool = True
    max_rows: int | None = None

    def build(self, dataset: Dataset, params: Mapping[str, Any] | None = None) -> Pipeline:
        """An unfitted pipeline for the dataset's columns, which takes their raw rows."""
        steps = [*_prepare(dataset, self.scaled), ("classify", self.classifier)]
        return Pipeline(steps).set_params(**name_steps(params or {}))


def list_candidates(seed: int) -> list[Candidate]:
    """From simple to complex: among equals the first is chosen."""
    nystroem = Nystroem(n_components=KERNEL_POINTS, random_state=seed)
    kernel = make_pipeline(nystroem, LogisticRegression(max_iter=1000))
    costs = {"logisticregression__C": [10.0, 100.0, 1000.0]}
    svc = CalibratedClassifierCV(SVC(), ensemble=False, cv=3)
    neighbors = KNeighborsClassifier(weights="distance")
    return [
        Candidate("Baseline", DummyClassifier()),
        _name(GaussianNB(), {"var_smoothing": [1e-9, 1e-3, 1e-1]}),
        _name(LinearDiscriminantAnalysis(solver="lsqr"), {"shrinkage": [None, 0.1, 0.25, 0.5]}),
        _name(LogisticRegression(max_iter=1000), {"C": [1.0, 0.1, 10.0, 0.01, 100.0]}),
        _name(QuadraticDiscriminantAnalysis(), {"reg_param": [0.01, 0.03, 0.1, 0.3, 0.5]}),
        _name(neighbors, {"n_neighbors": [10, 20, 40]}, max_rows=100_000),
        Candidate("CalibratedSVC", svc, {"estimator__C": [1.0, 10.0]}, max_rows=5_000),
        Candidate("KernelLogisticRegression", kernel, costs, max_rows=50_000),
        *_list_trees(seed),
    ]


def _list_trees(seed: int) -> list[Candidate]:
    leaves = {"min_samples_leaf": [1, 4]}
    forest: dict[str, Any] = {"max_leaf_nodes": MAX_LEAVES, "random_state": seed}
    limits: dict[str, Any] = {"scaled": False, "max_rows": 200_000}
    boosting = HistGradientBoostingClassifier(
        early_stopping=False, l2_regularization=1.0, random_state=seed
    )
    return [
        _name(ExtraTreesClassifier(**forest), leaves, **limits),
        _name(RandomForestClassifier(**forest), leaves, **limits),
        _name(boosting, {"max_leaf_nodes": [15, 4]}, scaled=False),
    ]


def _name(classifier: BaseEstimator, grid: Mapping[str, list[Any]], **limits: Any) -> Candidate:
    """A candidate that is called like its class."""
    return Candidate(type(classifier).__name__, classifier, grid, **limits)


def select(known: list[Candidate], names: list[str], rows: int) -> list[Candidate]:
    """The baseline, which is the first, and those named, or all; none too slow for the rows."""
    wanted = [one for one in known if not names or one is known[0] or one.name in names]
    slow = [one for one in wanted if one.max_rows and one.max_rows < rows]
    for candidate in slow:
        print(f"{candidate.name} is left out: it is for up to {candidate.max_rows:,} rows.")
    return [one for one in wanted if one not in slow]


def name_steps(params: Mapping[str, Any]) -> dict[str, Any]:
    """The classifier's parameters as the pipeline calls them."""
    return {f"classify__{name}": value for name, value in params.items()}


def read_params(classifier: BaseEstimator) -> dict[str, Any]:
    """Its parameters that are plain values."""
    plain = int | float | str | None
    return {name: one for name, one in classifier.get_params().items() if isinstance(one, plain)}


def _prepare(dataset: Dataset, scaled: bool) -> list[tuple[str, BaseEstimator]]:
    """The steps before the classifier: none that this table can do without."""
    is_category = np.array([kind == "category" for kind in dataset.kinds.values()])
    numbers = _prepare_numbers(dataset, scaled)
    if not is_category.any():
        return numbers
    # By place, so that the pipeline takes arrays as well as data frames.
    branches: list[tuple[str, BaseEstimator, Any]] = [
        ("categories", _encoder(), np.flatnonzero(is_category))
    ]
    if not is_category.all():
        branches.insert(0, ("numbers", Pipeline(numbers), np.flatnonzero(~is_category)))
    return [("prepare", ColumnTransformer(branches, sparse_threshold=0))]


def _prepare_numbers(dataset: Dataset, scaled: bool) -> list[tuple[str, BaseEstimator]]:
    numbers = [name for name, kind in dataset.kinds.items() if kind != "category"]
    imputer = SimpleImputer(
        strategy="median",
        # That a value is missing may tell something too.
        add_indicator=bool(set(numbers) & set(dataset.nullable)),
        keep_empty_features=True,
    )
    steps: list[tuple[str, BaseEstimator]] = [("impute", imputer)]
    if scaled:
        steps.append(("scale", StandardScaler()))
    return steps


def _encoder() -> OneHotEncoder:
    return OneHotEncoder(
        handle_unknown="infrequent_if_exist", max_categories=MAX_CATEGORIES, sparse_output=False
    )
