"""What MLflow is told of a training."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class CandidateRun(NamedTuple):
    """One candidate, with its metrics over all folds and by fold, or why it has none."""

    name: str
    params: dict[str, Any]
    metrics: dict[str, float]
    by_fold: dict[str, list[float]]
    failure: str | None = None


@dataclass
class TrainingRun:
    """Plain data, so that any version can read what another has kept.

    `models` are the pickles of the winner and the runner-up, by estimator; `tags` say as which file
    the winner went live. `run_id` is there once MLflow has begun a run, and the registered
    `versions` once it has all but the tags.
    """

    name: str
    started_at: int  # milliseconds
    params: dict[str, Any]
    metrics: dict[str, float]
    candidates: list[CandidateRun]
    dataset: dict[str, str]
    libraries: dict[str, str]
    signature: dict[str, Any]
    example: dict[str, Any]
    models: dict[str, bytes]
    files: dict[str, bytes]
    tags: dict[str, str] = field(default_factory=dict)
    experiment_id: str = ""
    run_id: str = ""
    versions: list[str] = field(default_factory=list)

    @property
    def best_model(self) -> bytes:
        return next(iter(self.models.values()))
