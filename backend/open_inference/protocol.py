"""The shapes of the Open Inference Protocol, V2 and V1, and of Triton's extensions to it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field, JsonValue

Parameters = dict[str, Any] | None
Size = Annotated[int, Field(ge=1, lt=2**63)]

DATATYPES = (
    *("BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"),
    *("FP16", "FP32", "FP64", "BYTES"),
)

_ROW: JsonValue = [5.1, 3.5, 1.4, 0.2]
_REQUEST: JsonValue = {
    "inputs": [{"name": "rows", "datatype": "FP64", "shape": [1, 4], "data": _ROW}]
}


class Liveness(BaseModel):
    live: bool


class ServerReadiness(BaseModel):
    ready: bool


class ModelReadiness(ServerReadiness):
    name: str


class ServerMetadata(BaseModel):
    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    """A size of -1 in `shape` is any size."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class RequestInput(BaseModel):
    """`data` is nested or flat, or in binary after the JSON; a null in it is a missing value."""

    model_config = ConfigDict(strict=True)

    name: str
    shape: Annotated[list[Size], Field(min_length=1, max_length=2)]
    datatype: Annotated[str, Field(json_schema_extra={"enum": [*DATATYPES]})]
    parameters: Parameters = None
    data: list[Any] | None = None


class RequestOutput(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str
    parameters: Parameters = None


class InferenceRequest(BaseModel):
    """Without `outputs` all are answered."""

    model_config = ConfigDict(strict=True, json_schema_extra={"examples": [_REQUEST]})

    id: str | None = None
    parameters: Parameters = None
    inputs: Annotated[list[RequestInput], Field(min_length=1), FailFast()]
    outputs: Annotated[list[RequestOutput] | None, Field(max_length=1000)] = None


class ResponseOutput(BaseModel):
    """`data` is flat, row after row, or in binary after the JSON."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, int] | None = None
    data: list[float] | list[str] | None = None


class InferenceResponse(BaseModel):
    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[ResponseOutput]


class IndexRequest(BaseModel):
    model_config = ConfigDict(strict=True)

    ready: bool = False


class IndexEntry(BaseModel):
    """A version in the models folder; `reason` says why it is unavailable."""

    name: str
    version: str
    state: Literal["READY", "UNAVAILABLE"]
    reason: str


class Duration(BaseModel):
    count: int = 0
    ns: int = 0


class Steps(BaseModel):
    compute_input: Duration = Duration()
    compute_infer: Duration = Duration()
    compute_output: Duration = Duration()


class InferenceDurations(Steps):
    success: Duration = Duration()
    fail: Duration = Duration()
    queue: Duration = Duration()
    cache_hit: Duration = Duration()


class BatchDurations(Steps):
    batch_size: int


class ModelStatistics(BaseModel):
    """`inference_count` counts rows, `execution_count` requests."""

    name: str
    version: str
    last_inference: int = 0
    inference_count: int = 0
    execution_count: int = 0
    inference_stats: InferenceDurations = InferenceDurations()
    batch_stats: list[BatchDurations] = []


class Statistics(BaseModel):
    model_stats: list[ModelStatistics]


class PredictRequest(BaseModel):
    """Each instance is a list of values in the order of the features, or an object by name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"instances": [_ROW]}]})

    instances: Annotated[list[list[Any] | dict[str, Any]], Field(min_length=1), FailFast()]


class PredictResponse(BaseModel):
    predictions: list[str]
