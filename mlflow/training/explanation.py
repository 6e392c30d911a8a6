"""Explains a model by what it says of rows it has not been trained on."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.inspection import permutation_importance

from running.cores import run
from training.comparison import FOLDS, Result, Setting
from training.evaluation import Array, fit, negative_log_loss

SHUFFLES = 100  # columns shuffled a fold: each column once at least, ten times at most
MAX_ROWS = 1000  # of a fold, to shuffle columns in


class Explanation(NamedTuple):
    """`labels` of shape (n,) with `probabilities` of shape (n, k), each row from the fold in which
    it was held out; `importances` of shape (folds, f), the log loss that shuffling a column adds.
    """

    classes: list[str]
    features: list[str]
    labels: npt.NDArray[np.object_]
    probabilities: Array
    importances: Array


def explain(result: Result, setting: Setting) -> Explanation | None:
    """From the first repeat's folds, each with the parameters found there; None where one fails."""
    tasks = [_Task(result, fold) for fold in range(FOLDS)]
    found = {task.fold: outcome for task, outcome in run(_explain, tasks, setting)}
    parts = [found.get(fold) for fold in range(FOLDS)]
    dataset = setting.dataset
    labels = [dataset.y.iloc[fold.test].to_numpy(dtype=object) for fold in setting.folds[:FOLDS]]
    whole = [part for part in parts if isinstance(part, _Part)]
    if len(whole) < FOLDS:
        return None
    return Explanation(
        classes=dataset.classes,
        features=list(dataset.X.columns),
        labels=np.concatenate(labels),
        probabilities=np.concatenate([part.probabilities for part in whole]),
        importances=np.array([part.importances for part in whole]),
    )


class _Task(NamedTuple):
    result: Result
    fold: int

    @property
    def name(self) -> str:
        return self.result.name


class _Part(NamedTuple):
    probabilities: Array
    importances: Array


def _explain(setting: Setting, task: _Task) -> _Part:
    fold = setting.folds[task.fold]
    train, test = setting.dataset.take(fold.train), setting.dataset.take(fold.test)
    pipeline = fit(task.result.candidate, task.result.scores[task.fold].params, train)
    shuffled = permutation_importance(
        pipeline,
        test.X,
        test.y,
        scoring=negative_log_loss,
        n_repeats=int(np.clip(SHUFFLES // len(test.X.columns), 1, 10)),
        max_samples=min(MAX_ROWS, len(test.X)),
        random_state=setting.seed,
    )
    return _Part(pipeline.predict_proba(test.X), shuffled.importances_mean)
