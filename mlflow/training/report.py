"""Reports a training: what is printed while it runs, and what MLflow is told."""

import io
import json
import time
from typing import Any, TextIO

import joblib
import pandas as pd
from mlflow.data.pandas_dataset import from_pandas
from mlflow.models import infer_signature
from sklearn.dummy import DummyClassifier

from parallel.cores import Failure
from runs.training_run import CandidateRun, TrainingRun
from table.dataset import Dataset
from table.phrases import count
from training.candidates import Candidate, read_params
from training.comparison import FOLDS, REPEATS, Comparison, Result, Trial
from training.evaluation import METRICS, FittedModel, Score, library_versions
from training.feedback import Addition
from training.folds import find_scarce, number_rows

EXAMPLE_ROWS = 3
SIGNATURE_ROWS = 10_000
DIGEST_LENGTH = 36  # MLflow's column holds no more

_HEADS = ("log loss", "accuracy", "balanced", "F1 macro", "ROC AUC", "Brier")
_NAME_WIDTH = 32
_CELL_WIDTH = 14
_BAR_WIDTH = 24


def headline(dataset: Dataset, sample: Dataset) -> str:
    rows, features = dataset.X.shape
    classes = f"{len(dataset.classes)} classes"  # two at least
    lines = [
        *dataset.remarks,
        f"{dataset.name}: {count(rows, 'row')}, {count(features, 'feature')}, {classes}.",
        f"Comparing on {FOLDS} folds, repeated {REPEATS} times.",
    ]
    if scarce := ", ".join(find_scarce(sample, number_rows(sample.X), FOLDS)):
        lines.append(f"Equal rows of {scarce} are trained and tested on: too few are different.")
    if len(sample.X) < rows:
        lines.append(f"Candidates are compared on {len(sample.X):,} rows drawn from them.")
    return "\n".join(lines)


def count_workers(workers: int, cores: int) -> str:
    return f"The cluster has {count(workers, 'worker')} with {count(cores, 'core')} in all."


def account(addition: Addition) -> str:
    """What became of the labelled predictions, in one line."""
    added, left_out = addition.dataset.feedback_rows, addition.left_out
    total = added + left_out.total()
    if not total:
        name = addition.dataset.name
        return f"Feedback: no prediction of {name} is labelled yet; training on the table alone."
    reasons = ", ".join(f"{rows:,} {reason}" for reason, rows in left_out.most_common())
    labelled = f"Feedback: {count(total, 'labelled prediction')}, {count(added, 'row')} added"
    return f"{labelled} (left out: {reasons})." if reasons else f"{labelled}."


class Progress:
    """A bar that a terminal redraws, and elsewhere a line when a candidate is done."""

    def __init__(self, candidates: list[Candidate], cores: int, output: TextIO) -> None:
        self._left = {candidate.name: FOLDS * REPEATS for candidate in candidates}
        self._total = sum(self._left.values())
        self._cores = cores
        self._output = output
        self._seconds: dict[str, float] = {}

    def report(self, trial: Trial, outcome: Score | Failure) -> None:
        """Take note of a trial that is done."""
        self._left[trial.name] -= 1
        if isinstance(outcome, Score):
            self._seconds[trial.name] = outcome.fit_seconds + outcome.predict_seconds
        if self._output.isatty():
            self._draw(trial.name)
        elif self._left[trial.name] == 0:
            print(f"  {trial.name} done{self._time_left()}", file=self._output, flush=True)

    def close(self) -> None:
        """Leave the line to what is written next."""
        if self._output.isatty():
            print("\r\033[K", end="", file=self._output, flush=True)

    def _draw(self, name: str) -> None:
        done = self._total - sum(self._left.values())
        filled = _BAR_WIDTH * done // self._total
        bar = "█" * filled + "░" * (_BAR_WIDTH - filled)
        line = f"{bar} {done}/{self._total} {name}{self._time_left()}"
        print(f"\r\033[K{line}", end="", file=self._output, flush=True)

    def _time_left(self) -> str:
        """From what one fold of each candidate took; nothing until that is known of all."""
        left = {name: count for name, count in self._left.items() if count}
        if not left or not left.keys() <= self._seconds.keys():
            return ""
        seconds = sum(count * self._seconds[name] for name, count in left.items()) / self._cores
        return f", about {seconds:.0f} s left"


def tabulate(comparison: Comparison, candidates: list[Result], winner: Result) -> str:
    """Mean ± standard error of every metric by candidate, failures, and the choice."""
    heads = "".join(f"{head:>{_CELL_WIDTH}}" for head in _HEADS)
    lines = [f"{'':<{_NAME_WIDTH}}{heads}{'fit ms':>9}{'predict ms':>12}"]
    lines += [_row(result) for result in comparison.results]
    if comparison.failures:
        lines += ["", *comparison.list_failures()]
    best = min(candidates, key=lambda result: result.mean("log_loss"))
    why = "the lowest log loss"
    if best is not winner:
        why = f"the simplest within one standard error of the lowest log loss, {best.name}'s"
    lines += ["", f"Chosen {winner.name}: {why}."]
    if isinstance(winner.candidate.classifier, DummyClassifier):
        lines.append("It gives every row the same answer, as no other candidate was better.")
    return "\n".join(lines)


def make_run(
    dataset: Dataset, comparison: Comparison, models: list[FittedModel], params: dict[str, Any]
) -> TrainingRun:
    """What MLflow is told; the first of the models is the winner."""
    pipeline, rows = models[0].pipeline, dataset.X.head(SIGNATURE_ROWS)
    example = dataset.X.head(EXAMPLE_ROWS)
    winner = next(each for each in comparison.results if each.name == models[0].estimator)
    told = {
        "dataset": dataset.name,
        "target": dataset.target,
        "estimator": winner.name,
        "feedback_rows": dataset.feedback_rows,
    }
    failures = comparison.failures.items()
    return TrainingRun(
        name=dataset.name,
        started_at=time.time_ns() // 10**6,
        params=told | params,
        metrics=_flatten(winner),
        candidates=[_tell_candidate(result) for result in comparison.results]
        + [CandidateRun(name, {}, {}, {}, failure.reason) for name, failure in failures],
        dataset=_tell_dataset(dataset),
        libraries=library_versions(),
        signature=infer_signature(rows, pipeline.predict(rows)).to_dict(),
        example={"values": example.to_dict("list"), "types": example.dtypes.astype(str).to_dict()},
        models={model.estimator: _pickle(model.pipeline) for model in models},
        files={"comparison.json": _make_table(comparison.results)},
    )


def _tell_candidate(result: Result) -> CandidateRun:
    by_fold = {metric: result.by_fold(metric).tolist() for metric in METRICS}
    params = read_params(result.candidate.classifier) | result.most_frequent_params()
    return CandidateRun(result.name, params, _flatten(result), by_fold)


def _flatten(result: Result) -> dict[str, float]:
    flat = {}
    for metric, summary in result.summary().items():
        flat[metric] = summary["mean"]
        flat[f"{metric}_standard_error"] = summary["standard_error"]
    times = ("fit_seconds", "predict_seconds")
    return flat | {name: result.seconds(name) for name in times}


def _tell_dataset(dataset: Dataset) -> dict[str, str]:
    """As `mlflow.entities.Dataset` takes it; the digest is the start of the manifest's SHA-256."""
    frame = dataset.X.assign(**{dataset.target: dataset.y})
    told: dict[str, str] = from_pandas(
        frame, targets=dataset.target, name=dataset.name, digest=dataset.sha256[:DIGEST_LENGTH]
    ).to_dict()
    source = json.dumps({"uri": dataset.source})
    return told | {"source": source, "source_type": "local"}


def _pickle(pipeline: Any) -> bytes:
    pickled = io.BytesIO()
    joblib.dump(pipeline, pickled)
    return pickled.getvalue()


def _make_table(results: list[Result]) -> bytes:
    """Every mean and error by candidate, as MLflow shows tables."""
    rows = [{"candidate": result.name, **_flatten(result)} for result in results]
    return pd.DataFrame(rows).to_json(orient="split", index=False).encode()


def _row(result: Result) -> str:
    cells = (
        f"{summary['mean']:.3f} ± {summary['standard_error']:.3f}"
        for summary in result.summary().values()
    )
    scores = "".join(f"{cell:>{_CELL_WIDTH}}" for cell in cells)
    fit, predict = (1000 * result.seconds(what) for what in ("fit_seconds", "predict_seconds"))
    return f"{result.name:<{_NAME_WIDTH}}{scores}{fit:>9.1f}{predict:>12.2f}"
