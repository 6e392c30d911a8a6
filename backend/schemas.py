"""The shapes that come in and go out: manifests, requests and responses."""

import codecs
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Base64Bytes,
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    model_validator,
)
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict  # typing's, which pydantic takes from Python 3.12 on

# A list is wrong at its first fault: half a million faults take 200 MB.
FIRST = FailFast()

MAX_LABEL_KEYS = 100  # to say of each but two that it is none would take seconds

# Codecs of Python that read text, though no file is written in them; some take very long.
_NO_ENCODINGS = ("idna", "punycode", "raw-unicode-escape", "unicode-escape", "utf-7")


def _is_none(value: object) -> bool:
    return value is None


def _is_false(value: object) -> bool:
    return value is False


def _require_encoding(name: str) -> str:
    try:
        "".encode(name)
    except (LookupError, ValueError):
        raise ValueError("it is not an encoding of text") from None
    if codecs.lookup(name).name in _NO_ENCODINGS:
        raise ValueError("it is not an encoding of files")
    return name


class Finite(BaseModel):
    """JSON knows no infinities, so neither do manifests."""

    model_config = ConfigDict(allow_inf_nan=False)


class Histogram(Finite):
    """Rows of the training table per class: `counts` by value, `missing` those without one."""

    counts: dict[str, Annotated[list[int], FIRST]]
    missing: dict[str, int] = {}


class NumberHistogram(Histogram):
    """n + 1 `edges` bound n bins, the last bin closed on both sides."""

    edges: Annotated[list[float], FIRST]


class Input(Finite):
    """What every feature has; a `nullable` one may be left out, and the model fills it in.

    An `imputable` one never was missing in training, but the model fills it in all the same.
    """

    name: str
    nullable: bool = False
    imputable: Annotated[bool, Field(exclude_if=_is_false)] = False

    @property
    def may_be_missing(self) -> bool:
        return self.nullable or self.imputable


_NO_NUMBER = r"[^0-9+\-\u2212.,\s]"  # a character that no number is lost with


class WrittenNumber(BaseModel):
    """How the training table wrote the numbers of a column; what is left out is plain.

    The `affix` stands before or behind a number: a currency, a unit, a percent sign.
    """

    decimal: Annotated[Literal[".", ","] | None, Field(exclude_if=_is_none)] = None
    thousands: Annotated[
        Literal[",", ".", " ", "\u00a0", "\u202f", "'", "\u2019"] | None, Field(exclude_if=_is_none)
    ] = None
    affix: Annotated[str | None, Field(max_length=20, pattern=_NO_NUMBER, exclude_if=_is_none)] = (
        None
    )

    @model_validator(mode="after")
    def _require_distinct(self) -> Self:
        if (self.decimal or ".") == self.thousands:
            raise ValueError("one sign separates both decimals and thousands")
        return self


class Number(Input):
    """What only the training table tells may be unknown."""

    type: Literal["number"] = "number"
    unit: str | None = None
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    median: float | None = None
    step: float | None = None
    written: Annotated[WrittenNumber | None, Field(exclude_if=_is_none)] = None
    histogram: NumberHistogram | None = None


class TrainedNumber(Number):
    """A number as the training table had it."""

    min: float
    max: float
    mean: float
    median: float
    step: float
    histogram: NumberHistogram


class Boolean(Input):
    """Its histogram counts false, then true."""

    type: Literal["boolean"]
    mode: bool
    histogram: Histogram


class Category(Input):
    """Text; `values` are the most frequent ones, and all others are alike to the model."""

    type: Literal["category"]
    values: Annotated[list[str], FIRST, Field(min_length=1, max_length=100)]
    mode: str
    histogram: Histogram

    @model_validator(mode="after")
    def _require_distinct(self) -> Self:
        if len(set(self.values)) < len(self.values):
            raise ValueError("two values are the same")
        if self.mode not in self.values:
            raise ValueError("mode is not one of the values")
        return self


Feature = Annotated[Number | Boolean | Category, Field(discriminator="type")]
TrainedFeature = Annotated[TrainedNumber | Boolean | Category, Field(discriminator="type")]

# What a feature of an instance holds; None where it is missing.
Value = bool | float | str | None


class Written(BaseModel):
    """How the training table wrote its cells: `missing` are the words for a missing value.

    Text that is neither UTF-8 nor marked is in the `encoding`, by default Windows-1252.
    """

    missing: Annotated[list[Annotated[str, Field(max_length=100)]], FIRST, Field(max_length=100)]
    encoding: Annotated[
        Annotated[str, Field(max_length=50), AfterValidator(_require_encoding)] | None,
        Field(exclude_if=_is_none),
    ] = None


class Target(BaseModel):
    name: str
    classes: Annotated[list[str], FIRST, Field(min_length=2)]


class Metric(Finite):
    """Over the folds of the cross-validation; older manifests have `std`, the deviation."""

    mean: float
    standard_error: Annotated[float | None, Field(exclude_if=_is_none)] = None
    std: Annotated[float | None, Field(exclude_if=_is_none)] = None


class Dataset(BaseModel):
    name: str
    rows: int
    sha256: str


class TrackedRun(BaseModel):
    """Where MLflow keeps the training."""

    experiment: str
    run_id: str
    model_version: str


class Example(Finite):
    """`probabilities` are in the order of the target's classes."""

    inputs: dict[str, Value]
    probabilities: Annotated[list[float], FIRST]


class Signature(BaseModel):
    algorithm: Literal["ed25519"]
    value: Base64Bytes


class Description(BaseModel):
    """What is known of a model, be it by its manifest or by its pickle alone."""

    format: Literal[1] | None = None
    name: str
    version: str
    created_at: datetime
    sha256: str
    size: int
    signature: Signature | None = None
    features: Annotated[tuple[Feature, ...], FIRST, Field(min_length=1)]
    written: Annotated[Written | None, Field(exclude_if=_is_none)] = None
    target: Target
    estimator: str
    params: dict[str, Any] = {}
    metrics: dict[str, Metric] = {}
    dataset: Dataset | None = None
    libraries: dict[str, str] = {}
    mlflow: TrackedRun | None = None
    examples: Annotated[list[Example], FIRST] = []
    republished_from: str | None = None

    @model_validator(mode="after")
    def _require_distinct(self) -> Self:
        names = [feature.name for feature in self.features]
        for what, given in (("features", names), ("classes", self.target.classes)):
            if len(set(given)) < len(given):
                raise ValueError(f"two {what} have the same name")
        return self


class Manifest(Description):
    """Format 1, in which no key may be missing; docs/models.md describes each."""

    format: Literal[1]
    signature: Signature | None
    features: Annotated[tuple[TrainedFeature, ...], FIRST, Field(min_length=1)]
    params: dict[str, Any]
    metrics: dict[str, Metric]
    dataset: Dataset
    libraries: dict[str, str]
    mlflow: TrackedRun | None
    examples: Annotated[list[Example], FIRST]
    republished_from: str | None


# Signed means that the signature was checked and is right; without a key it cannot be checked.
SignatureState = Literal["signed", "unsigned", "unchecked"]


EngineName = Literal["layers", "linear", "scikit-learn", "trees"]


class Serving(BaseModel):
    """What answers single instances: scikit-learn itself, or what it was compiled to, and why."""

    name: EngineName
    detail: str


# What holds for the process that has opened the model: it can read no file but what Python is made
# of and write none; can start nothing, connect to nothing and signal nobody; has an end of memory.
Confinement = Literal["files", "calls", "memory"]


class Published(BaseModel):
    """A version in the models folder; `reason` says why it is refused.

    An available one is verified: its manifest, signature, size and SHA-256 are right, or it has
    answered. Of an unverified one, `remarks` say what is not verified yet.
    """

    version: str
    file: str
    state: Literal["live", "available", "unverified", "refused"]
    reason: str | None = None
    signature: SignatureState | None = None
    remarks: list[str] = []
    engine: Serving | None = None
    confined: list[Confinement] | None = None
    created_at: datetime | None = None
    estimator: str | None = None
    metrics: dict[str, Metric] = {}
    dataset: Dataset | None = None
    republished_from: str | None = None


class PublishedModel(Published):
    """A version with all that is known of it."""

    manifest: Description | None = None


class PublishedModels(BaseModel):
    """Every version, newest first."""

    models: list[Published]


class FeatureWarning(TypedDict):
    """A feature that is missing, or whose value the model has not been trained for."""

    feature: str
    detail: str


class Prediction(TypedDict):
    """`prediction` is the index of `prediction_class` in the model's classes.

    `probabilities` are null where the estimator has none.
    """

    prediction: int
    prediction_class: str
    probabilities: dict[str, float] | None
    model_version: str
    prediction_id: str
    warnings: list[FeatureWarning]


class Contribution(BaseModel):
    """By how much the class's probability falls with the `baseline` in place of the `value`.

    Null where the model has no answer to the baseline.
    """

    feature: str
    value: Value
    baseline: bool | float | str
    contribution: float | None


class Curve(BaseModel):
    """Class probabilities along the values of one feature; null where there is no answer."""

    feature: str
    values: list[Value]
    probabilities: dict[str, list[float | None]]


class Explanation(BaseModel):
    """`probability` is that of the predicted class. Contributions do not add up to anything."""

    model_version: str
    prediction_class: str
    probability: float
    contributions: list[Contribution]
    curve: Annotated[Curve | None, Field(exclude_if=_is_none)] = None


class RowPrediction(BaseModel):
    """Null where the model has no answer to the row; probabilities also where it gives none."""

    prediction_class: str | None
    probabilities: dict[str, float] | None


class TablePrediction(BaseModel):
    """`warnings` count rows by feature; `read_as` says how a table of text was read."""

    model_version: str
    warnings: dict[str, dict[Literal["unknown", "missing", "out_of_range"], int]]
    read_as: Annotated[str | None, Field(exclude_if=_is_none)] = None


class RowPredictions(TablePrediction):
    """In the order of the instances."""

    predictions: list[RowPrediction]


class PredictionColumns(TablePrediction):
    """`prediction_class` and a `probability_…` for each class, in the order of the rows."""

    columns: dict[str, list[str | float | None]]


class TablePreview(BaseModel):
    """How a table is read: its first rows as text, and the features for which it has no column.

    `read_as` is null if the format says it all; only a workbook has `sheets`.
    """

    read_as: str | None
    rows: int
    columns: list[str]
    head: list[list[str | None]]
    missing: list[str]
    sheets: list[str] | None = None


class Status(BaseModel):
    status: str


class Readiness(BaseModel):
    status: str
    model_version: str
    detail: str | None = None


class Label(BaseModel):
    """What an earlier prediction should have been."""

    model_config = ConfigDict(extra="forbid")

    prediction_id: Annotated[str, Field(max_length=100)]
    label: Annotated[str, Field(max_length=1000)]

    @model_validator(mode="before")
    @classmethod
    def _take_few_keys(cls, given: Any) -> Any:
        if isinstance(given, dict) and len(given) > MAX_LABEL_KEYS:
            raise PydanticCustomError("too_many_keys", "A label has two keys, and this has many")
        return given


class Recorded(BaseModel):
    """How many labels are kept by this request."""

    recorded: int


class Labelled(BaseModel):
    """A prediction and what it should have been."""

    prediction_id: str
    model_version: str
    inputs: dict[str, Value]
    label: str
    prediction_class: str


class LabelledPage(BaseModel):
    """`next` is where to go on after, null at the end."""

    feedback: list[Labelled]
    next: str | None


class Problem(BaseModel):
    """RFC 9457; `errors` is there where a body has several faults."""

    title: str
    status: int
    detail: str
    errors: list[dict[str, str | int]] | None = None
    request_id: str | None = None


class Failure(BaseModel):
    """What every failure under /v1 and /v2 says."""

    error: str
