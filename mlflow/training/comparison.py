"""Compares candidates by nested cross-validation."""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import RepeatedStratifiedKFold

from errors import TrainingFailed
from parallel.cores import Failure, run
from table.dataset import Dataset
from training.candidates import Candidate
from training.evaluation import METRICS, Array, Score, score
from training.folds import Fold, deal, number_instances

FOLDS = 5
REPEATS = 2
TEST_SHARE = 1 / (FOLDS - 1)  # rows tested on over rows trained on
SEARCH_ROWS = 20_000  # more tell candidates no further apart


class Trial(NamedTuple):
    """One candidate on one fold."""

    candidate: Candidate
    fold: int

    @property
    def name(self) -> str:
        return self.candidate.name


class Setting(NamedTuple):
    """What every trial needs."""

    dataset: Dataset
    folds: list[Fold]
    seed: int


@dataclass(frozen=True)
class Result:
    """A candidate's scores on every fold."""

    candidate: Candidate
    scores: list[Score]

    @property
    def name(self) -> str:
        return self.candidate.name

    def by_fold(self, metric: str) -> Array:
        return np.array([score.metrics[metric] for score in self.scores])

    def mean(self, metric: str) -> float:
        return float(self.by_fold(metric).mean())

    def summary(self) -> dict[str, dict[str, float]]:
        """Mean and standard error by metric."""
        return {
            metric: {
                "mean": self.mean(metric),
                "standard_error": corrected_error(self.by_fold(metric)),
            }
            for metric in METRICS
        }

    def most_frequent_params(self) -> dict[str, Any]:
        """What most of the folds' searches found, each parameter by itself."""
        columns = zip(*(score.params.items() for score in self.scores), strict=True)
        return dict(Counter(column).most_common(1)[0][0] for column in columns)

    def seconds(self, what: str) -> float:
        """Mean over the folds of `fit_seconds`, the search included, or `predict_seconds`."""
        return float(np.mean([getattr(score, what) for score in self.scores]))


class Comparison(NamedTuple):
    """A result of each candidate, from simple to complex, or its failure by name."""

    results: list[Result]
    failures: dict[str, Failure]

    def of(self, candidates: list[Candidate]) -> list[Result]:
        return [result for result in self.results if result.candidate in candidates]

    def require(self, candidates: list[Candidate], names: list[str]) -> list[Result]:
        """Their results; raises TrainingFailed if there is none, or none with one of the names."""
        results, said = self.of(candidates), self.list_failures()
        if names and not any(result.name in names for result in results):
            what = "Not one of the candidates that --only names could be compared"
            raise TrainingFailed("\n".join([*said, f"{what}; nothing is published."]))
        if not results:
            raise TrainingFailed("\n".join(said))
        return results

    def list_failures(self) -> list[str]:
        failures = self.failures.items()
        return [f"{name} is left out: {failure.line}" for name, failure in failures]


Report = Callable[[Trial, Score | Failure], None]


class Means(NamedTuple):
    """Who does the work, as `cores.run` does it, and how long, in monotonic time.

    The first candidates, as many as are vital, have all the time they take.
    """

    run: Callable[..., Iterator[tuple[Any, Any]]] = run
    deadline: float = float("inf")
    vital: int = 1


ALONE = Means()


def prepare(dataset: Dataset, seed: int) -> Setting:
    """Draw a sample of a large dataset, and split that."""
    sample = dataset.sample(SEARCH_ROWS, seed)
    return Setting(sample, split(sample, seed), seed)


def split(dataset: Dataset, seed: int) -> list[Fold]:
    """The same repeated stratified folds for every candidate, equal rows kept together."""
    folds = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=seed)
    return deal(dataset, number_instances(dataset, FOLDS), folds)


def compare(
    candidates: list[Candidate],
    setting: Setting,
    report: Report = lambda *_: None,
    means: Means = ALONE,
) -> Comparison:
    """Score each candidate on each fold; by the deadline, as far as it got."""
    found: dict[Trial, Score] = {}
    failures: dict[str, Failure] = {}
    for trial, outcome in _run_trials(_list_trials(candidates, setting), setting, means):
        if isinstance(outcome, Failure):
            failures.setdefault(trial.name, outcome)
        else:
            found[trial] = outcome
        report(trial, outcome)
    return _gather(candidates, found, failures, len(setting.folds))


def _list_trials(candidates: list[Candidate], setting: Setting) -> list[Trial]:
    """One fold of each first, to know how long the others will take."""
    first = [Trial(candidate, 0) for candidate in candidates]
    others = itertools.product(candidates, range(1, len(setting.folds)))
    return first + [Trial(candidate, fold) for candidate, fold in others]


def choose(results: list[Result]) -> Result:
    """The simplest of those within one standard error of the lowest mean log loss.

    `results` are from simple to complex. Breiman et al., Classification and Regression Trees,
    1984, section 3.4.3; its error is the plain one, without the correction.
    """
    best = min(results, key=lambda result: result.mean("log_loss"))
    losses = best.by_fold("log_loss")
    bound = losses.mean() + losses.std(ddof=1) / np.sqrt(len(losses))
    return next(result for result in results if result.mean("log_loss") <= bound)


def find_runner_up(results: list[Result], winner: Result) -> list[Result]:
    """The lowest mean log loss of the others, or none."""
    others = [result for result in results if result is not winner]
    return sorted(others, key=lambda result: result.mean("log_loss"))[:1]


def corrected_error(values: Array) -> float:
    """Standard error of the mean over folds: they share training rows, so s/√n is too small.

    Nadeau and Bengio, Inference for the Generalization Error, Machine Learning 52, 2003; over
    repeats as Bouckaert and Frank, PAKDD 2004.
    """
    return float(values.std(ddof=1) * np.sqrt(1 / len(values) + TEST_SHARE))


def _run_trials(
    trials: list[Trial], setting: Setting, means: Means
) -> Iterator[tuple[Trial, Score | Failure]]:
    if means.deadline == float("inf"):
        yield from means.run(_score, trials, setting)
        return
    order = list(dict.fromkeys(trial.candidate for trial in trials))
    whole = sorted(trials, key=lambda trial: order.index(trial.candidate))
    end = means.vital * len(setting.folds)
    yield from means.run(_score, whole[:end], setting)
    if time.monotonic() < means.deadline:
        yield from means.run(_score, whole[end:], setting, means.deadline)


def _score(setting: Setting, trial: Trial) -> Score:
    return score(trial.candidate, setting.dataset, setting.folds[trial.fold], setting.seed)


def _gather(
    candidates: list[Candidate],
    found: dict[Trial, Score],
    failures: dict[str, Failure],
    folds: int,
) -> Comparison:
    results = []
    for candidate in candidates:
        trials = [Trial(candidate, fold) for fold in range(folds)]
        scores = [found[trial] for trial in trials if trial in found]
        if len(scores) == folds and candidate.name not in failures:
            results.append(Result(candidate, scores))
            continue
        reason = f"the budget ended after {len(scores)} of its {folds} folds"
        failures.setdefault(candidate.name, Failure(reason))
    return Comparison(results, failures)
