"""Searches, fits and measures one candidate."""

import platform
import time
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn import metrics
from sklearn.model_selection import GridSearchCV, StratifiedKFold, StratifiedShuffleSplit
from sklearn.pipeline import Pipeline

from errors import TrainingFailed
from parallel.cores import Failure, run
from table.dataset import Dataset
from training.candidates import Candidate, name_steps
from training.folds import Fold, deal, number_instances

SEARCH_FOLDS = 3
ROWS_FOR_ONE_SPLIT = 1000  # different ones; from here on a quarter held out tells a search enough

METRICS = ("log_loss", "accuracy", "balanced_accuracy", "f1_macro", "roc_auc_ovr", "brier")

Array = npt.NDArray[np.float64]


class Score(NamedTuple):
    """What a candidate reached on a fold, with the parameters that its search found there."""

    metrics: dict[str, float]
    params: dict[str, Any]
    fit_seconds: float
    predict_seconds: float


class FittedModel(NamedTuple):
    """A candidate's pipeline fitted on all rows."""

    estimator: str
    pipeline: Pipeline


class _Refit(NamedTuple):
    """A candidate to be fitted on all rows, with what a search finds in the sample."""

    candidate: Candidate
    sample: Dataset
    seed: int

    @property
    def name(self) -> str:
        return self.candidate.name


def score(candidate: Candidate, dataset: Dataset, fold: Fold, seed: int) -> Score:
    """Search and fit on the fold's training rows alone, and score on its test rows."""
    train, test = dataset.take(fold.train), dataset.take(fold.test)
    started = time.perf_counter()
    params = search(candidate, train, seed)
    pipeline = fit(candidate, params, train)
    fitted = time.perf_counter()
    probabilities = pipeline.predict_proba(test.X)
    seconds = time.perf_counter() - fitted
    measured = measure(test.y, probabilities, pipeline.classes_)
    return Score(measured, params, fitted - started, seconds)


def search(candidate: Candidate, dataset: Dataset, seed: int) -> dict[str, Any]:
    """The first of the candidate's parameters within one standard error of the lowest log loss.

    A grid begins with the default, which is so left only for what is better by more than chance.
    """
    if not candidate.grid:
        return {}
    instances = number_instances(dataset, SEARCH_FOLDS)
    folds = StratifiedKFold(SEARCH_FOLDS, shuffle=True, random_state=seed)
    if instances.max() + 1 >= ROWS_FOR_ONE_SPLIT:
        folds = StratifiedShuffleSplit(1, test_size=0.25, random_state=seed)
    grid = GridSearchCV(
        candidate.build(dataset),
        name_steps(candidate.grid),
        scoring=negative_log_loss,
        cv=deal(dataset, instances, folds),
        refit=False,
    )
    with warnings.catch_warnings(action="ignore"):  # of values that do not fit: others do
        first = _find_best(grid, dataset)
    params = grid.cv_results_["params"][first]
    return {name.removeprefix("classify__"): value for name, value in params.items()}


def fit(candidate: Candidate, params: Mapping[str, Any], dataset: Dataset) -> Pipeline:
    """The candidate's pipeline, fitted on all rows."""
    with warnings.catch_warnings(action="ignore"):
        return candidate.build(dataset, params).fit(dataset.X, dataset.y)


def refit(
    candidates: list[Candidate], sample: Dataset, dataset: Dataset, seed: int
) -> list[FittedModel]:
    """Search in the sample, then fit on the dataset; candidates after the first may be missing.

    Raises TrainingFailed if the first cannot be fitted.
    """
    tasks = [_Refit(candidate, sample, seed) for candidate in candidates]
    found = {task.name: outcome for task, outcome in run(_refit, tasks, dataset)}
    first = found[tasks[0].name]
    if isinstance(first, Failure):
        raise TrainingFailed(f"{tasks[0].name} failed on all rows: {first.line}")
    fitted = [(task.name, found[task.name]) for task in tasks]
    return [FittedModel(name, one) for name, one in fitted if not isinstance(one, Failure)]


def _refit(dataset: Dataset, task: _Refit) -> Pipeline:
    return fit(task.candidate, search(task.candidate, task.sample, task.seed), dataset)


def library_versions() -> dict[str, str]:
    """What a pipeline is fitted with, and its pickle needs."""
    libraries = ("scikit-learn", "numpy", "joblib")
    return {"python": platform.python_version()} | {name: version(name) for name in libraries}


def measure(y: Any, probabilities: Array, classes: Any) -> dict[str, float]:
    """Every metric of probabilities of shape (n, k), in the order of `classes`."""
    predicted = np.asarray(classes)[probabilities.argmax(axis=1)]
    binary = len(classes) == 2  # noqa: PLR2004
    ranked = probabilities[:, 1] if binary else probabilities
    return {
        "log_loss": metrics.log_loss(y, probabilities, labels=classes),
        "accuracy": metrics.accuracy_score(y, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, predicted),
        "f1_macro": metrics.f1_score(y, predicted, average="macro", zero_division=0),
        "roc_auc_ovr": metrics.roc_auc_score(y, ranked, multi_class="ovr", labels=classes),
        "brier": metrics.brier_score_loss(y, probabilities, labels=classes, scale_by_half=True),
    }


def _find_best(grid: GridSearchCV, dataset: Dataset) -> int:
    """The index of the parameters; raises what a fit does if all of them fail."""
    try:
        grid.fit(dataset.X, dataset.y)
        return _find_first(grid.cv_results_, grid.n_splits_)
    except ValueError:  # it counts the failures, and why they fail is far below
        grid.set_params(error_score="raise").fit(dataset.X, dataset.y)
        raise


def _find_first(found: Mapping[str, Any], splits: int) -> int:
    """The index of it; what failed has no score."""
    scores = found["mean_test_score"]
    best = np.nanargmax(scores)
    # The deviation is that of the population; one split has none, and the best one is taken.
    error = found["std_test_score"][best] / np.sqrt(max(splits - 1, 1))
    return int(np.flatnonzero(scores >= scores[best] - error)[0])


def negative_log_loss(pipeline: Pipeline, X: Any, y: Any) -> float:
    """With all classes named, as a small fold may lack one."""
    probabilities = pipeline.predict_proba(X)
    return -float(metrics.log_loss(y, probabilities, labels=pipeline.classes_))
