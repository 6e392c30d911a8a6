"""Compares candidates by cross-validation."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import RepeatedStratifiedKFold, cross_validate
from sklearn.pipeline import Pipeline

from datasets import Dataset

FOLDS = 5
REPEATS = 3

_SCORERS = {
    "log_loss": "neg_log_loss",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced_accuracy",
    "f1_macro": "f1_macro",
}

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Result:
    """Scores by metric and fit times in seconds, each of shape (folds * repeats,)."""

    name: str
    pipeline: Pipeline
    scores: dict[str, Array]
    fit_seconds: Array

    def summary(self) -> dict[str, dict[str, float]]:
        """Mean and standard deviation over the folds, by metric."""
        return {
            metric: {"mean": float(values.mean()), "std": float(values.std(ddof=1))}
            for metric, values in self.scores.items()
        }


def compare(candidates: dict[str, Pipeline], dataset: Dataset, seed: int) -> list[Result]:
    """One result a candidate, all on the same repeated stratified folds."""
    folds = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=seed)
    return [_evaluate(name, pipeline, dataset, folds) for name, pipeline in candidates.items()]


def choose(results: list[Result]) -> Result:
    """The lowest mean log loss; the first, so the simplest, among equals."""
    return min(results, key=lambda result: result.scores["log_loss"].mean())


def _evaluate(
    name: str, pipeline: Pipeline, dataset: Dataset, folds: RepeatedStratifiedKFold
) -> Result:
    fitted = cross_validate(pipeline, dataset.X, dataset.y, cv=folds, scoring=_SCORERS)
    scores = {metric: fitted[f"test_{metric}"] for metric in _SCORERS}
    scores["log_loss"] = -scores["log_loss"]
    return Result(name, pipeline, scores, fitted["fit_time"])
