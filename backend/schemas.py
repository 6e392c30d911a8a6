"""The shapes that come in and go out: manifests, requests and responses."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Histogram(BaseModel):
    """Counts per class; n + 1 `edges` bound n bins, the last bin closed on both sides."""

    edges: list[float]
    counts: dict[str, list[int]]


class Feature(BaseModel):
    """One input of the model, as the training table had it."""

    name: str
    type: Literal["number"]
    unit: str | None = None
    min: float
    max: float
    mean: float
    median: float
    step: float
    histogram: Histogram


class Target(BaseModel):
    name: str
    classes: Annotated[list[str], Field(min_length=2)]


class Metric(BaseModel):
    """Mean and standard deviation over the folds of the cross-validation."""

    mean: float
    std: float


class Dataset(BaseModel):
    name: str
    rows: int
    sha256: str


class TrackedRun(BaseModel):
    """Where MLflow keeps the training."""

    model_config = ConfigDict(protected_namespaces=())

    experiment: str
    run_id: str
    model_version: str


class Example(BaseModel):
    """`probabilities` are in the order of the target's classes."""

    inputs: dict[str, float]
    probabilities: list[float]


class Signature(BaseModel):
    algorithm: str
    value: str


class Manifest(BaseModel):
    """Format 1; docs/models.md describes each key."""

    format: Literal[1]
    name: str
    version: str
    created_at: datetime
    sha256: str
    size: int
    signature: Signature | None
    features: Annotated[list[Feature], Field(min_length=1)]
    target: Target
    estimator: str
    params: dict[str, Any]
    metrics: dict[str, Metric]
    dataset: Dataset
    libraries: dict[str, str]
    mlflow: TrackedRun | None
    examples: list[Example]
    republished_from: str | None


class Published(BaseModel):
    """A version in the models folder."""

    version: str
    state: Literal["live"]
    manifest: Manifest


class RangeWarning(BaseModel):
    """A feature whose value the model has not been trained for."""

    feature: str
    detail: str


class Prediction(BaseModel):
    """`prediction` is the index of `prediction_class` in the model's classes."""

    model_config = ConfigDict(protected_namespaces=())

    prediction: int
    prediction_class: str
    probabilities: dict[str, float]
    model_version: str
    prediction_id: str
    warnings: list[RangeWarning]


class Status(BaseModel):
    status: str


class Readiness(BaseModel):
    model_config = ConfigDict(protected_namespaces=())

    status: str
    model_version: str


class Problem(BaseModel):
    """RFC 9457; `errors` is there where a body has several faults."""

    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = None
