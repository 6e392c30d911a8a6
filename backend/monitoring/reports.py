"""The shapes of what the service tells of itself."""

from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, Field


def divide(part: float, whole: float) -> float | None:
    """A share, null of nothing."""
    return float(part / whole) if whole else None


class Quantiles(BaseModel):
    """Null where nothing was counted."""

    p50: float | None
    p90: float | None
    p99: float | None


class RouteRequests(BaseModel):
    """What one route has answered."""

    route: str
    count: int
    by_status: dict[str, int]
    latency_seconds: Quantiles


class CountedPredictions(BaseModel):
    """Rows answered by the live model since it went live, by each of its classes."""

    count: int
    by_class: dict[str, int]


Verdict = Literal["stable", "moderate", "shifted", "unknown"]
WindowName = Literal["hour", "day", "model"]


class Observed(BaseModel):
    """Rows by bin of the manifest's histogram."""

    counts: list[int]


class FeatureDrift(BaseModel):
    """`psi` is null below the least number of rows; shares are null of no rows."""

    feature: str
    psi: float | None
    verdict: Verdict
    missing: float | None
    outside: float | None
    unknown: float | None
    observed: Observed


class ClassDrift(BaseModel):
    """Rows by predicted class, beside those of the training table."""

    psi: float | None
    verdict: Verdict
    observed: dict[str, int]


class DriftWindow(BaseModel):
    """Rows of the last hour, of the last day, or since the model first answered."""

    window: WindowName
    rows: int
    classes: ClassDrift
    features: list[FeatureDrift]


class Drift(BaseModel):
    """There is no verdict on fewer than `min_rows`."""

    min_rows: int
    windows: list[DriftWindow]


class CalibrationBin(BaseModel):
    """How sure the model was on average, and how often it was right."""

    start: Annotated[float, Field(serialization_alias="from")]
    end: Annotated[float, Field(serialization_alias="to")]
    count: int
    probability: float
    accuracy: float


class Accuracy(BaseModel):
    """Of one version's labelled predictions; `confusion` is by label, then by predicted class.

    `expected` is the mean probability of the predicted class.
    """

    model_version: str
    count: int
    accuracy: float | None
    expected: float | None
    confusion: dict[str, dict[str, int]]
    calibration: list[CalibrationBin]


class Accuracies(BaseModel):
    """The live version first, then the newest others that have labels."""

    versions: list[Accuracy]


class ShadowReport(BaseModel):
    """The challenger's answers to the live version's predictions; `count` of them have labels."""

    model_version: str
    answered: int
    skipped: int
    agreed: int
    agreement: float | None
    accuracy: float | None
    count: int


class Report(NamedTuple):
    """What the journal says of one model at one moment; `trouble` says what keeps it from that."""

    drift: Drift | None = None
    accuracy: Accuracies | None = None
    shadow: ShadowReport | None = None
    trouble: str | None = None


class JournalState(BaseModel):
    """`lag_seconds` is the age of the oldest prediction that is not written yet."""

    lag_seconds: float
    lost: int
    trouble: str | None


class Monitoring(BaseModel):
    """What was counted `since` the service started; the most asked route is first.

    `predictions` and `model_version` are null while no model is live; drift, accuracy and shadow
    also where no journal is kept, or it cannot be read.
    """

    model_version: str | None
    since: datetime
    requests: list[RouteRequests]
    predictions: CountedPredictions | None
    journal: JournalState | None = None
    drift: Drift | None = None
    accuracy: Accuracies | None = None
    shadow: ShadowReport | None = None
