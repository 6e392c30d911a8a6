"""Gathers what MLflow is told of a training."""

import json
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import uuid4

import pandas as pd
from mlflow.data.pandas_dataset import from_pandas
from mlflow.models import ModelSignature, infer_signature
from sklearn.pipeline import Pipeline

from table.dataset import Dataset
from training.candidates import read_params
from training.comparison import Outcome, Result
from training.evaluation import METRICS

EXAMPLE_ROWS = 3
SIGNATURE_ROWS = 10_000
DIGEST_LENGTH = 36  # MLflow's column holds no more


class CandidateRun(NamedTuple):
    """One candidate, with its metrics over all folds and by fold, or why it has none."""

    name: str
    params: dict[str, Any]
    metrics: dict[str, float]
    by_fold: dict[str, list[float]]
    failure: str | None = None


class Model(NamedTuple):
    """A candidate's pipeline fitted on all rows."""

    estimator: str
    pipeline: Pipeline


@dataclass
class Record:
    """A training. `models` are the winner and the runner-up; `published` says that the winner went
    live, `tags` as which file. `run_id` and the registered `versions` are there once logged.
    """

    name: str
    params: dict[str, Any]
    metrics: dict[str, float]
    candidates: list[CandidateRun]
    dataset: dict[str, str]
    signature: ModelSignature
    example: pd.DataFrame
    models: list[Model]
    files: dict[str, bytes] = field(default_factory=dict)
    published: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    experiment_id: str | None = None
    run_id: str | None = None
    versions: list[str] = field(default_factory=list)
    unfinished_run_id: str | None = None
    started_at: int = field(default_factory=lambda: time.time_ns() // 10**6)  # milliseconds
    key: str = field(default_factory=lambda: uuid4().hex)


def make_record(
    dataset: Dataset, outcome: Outcome, winner: Result, models: list[Model], params: dict[str, Any]
) -> Record:
    pipeline, rows = models[0].pipeline, dataset.X.head(SIGNATURE_ROWS)
    return Record(
        name=dataset.name,
        params={
            "dataset": dataset.name,
            "target": dataset.target,
            "estimator": winner.name,
            "feedback_rows": dataset.feedback_rows,
            **params,
        },
        metrics=_flatten(winner),
        candidates=[_describe(result) for result in outcome.results]
        + [
            CandidateRun(name, {}, {}, {}, failure.reason)
            for name, failure in outcome.failures.items()
        ],
        dataset=_describe_dataset(dataset),
        signature=infer_signature(rows, pipeline.predict(rows)),
        example=dataset.X.head(EXAMPLE_ROWS),
        models=models,
        files={"comparison.json": _tabulate(outcome.results)},
    )


def _describe(result: Result) -> CandidateRun:
    metrics = _flatten(result)
    by_fold = {metric: result.by_fold(metric).tolist() for metric in METRICS}
    params = read_params(result.candidate.classifier) | result.most_frequent_params()
    return CandidateRun(result.name, params, metrics, by_fold)


def _flatten(result: Result) -> dict[str, float]:
    flat = {}
    for metric, summary in result.summary().items():
        flat[metric] = summary["mean"]
        flat[f"{metric}_standard_error"] = summary["standard_error"]
    times = ("fit_seconds", "predict_seconds")
    return flat | {name: result.seconds(name) for name in times}


def _describe_dataset(dataset: Dataset) -> dict[str, str]:
    """As `mlflow.entities.Dataset` takes it; the digest is the start of the manifest's SHA-256."""
    frame = dataset.X.assign(**{dataset.target: dataset.y})
    described: dict[str, str] = from_pandas(
        frame, targets=dataset.target, name=dataset.name, digest=dataset.sha256[:DIGEST_LENGTH]
    ).to_dict()
    source = json.dumps({"uri": dataset.source})
    return described | {"source": source, "source_type": "local"}


def _tabulate(results: list[Result]) -> bytes:
    """Every mean and error by candidate, as MLflow shows tables."""
    rows = [{"candidate": result.name, **_flatten(result)} for result in results]
    return pd.DataFrame(rows).to_json(orient="split", index=False).encode()
