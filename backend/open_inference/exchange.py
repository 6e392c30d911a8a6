"""Answers the inference requests of the Open Inference Protocol."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic_core import to_json

from catalogue import Line
from counts import count_table
from errors import InvalidInstance, InvalidTensors, TableTooLarge
from inference import Array, Ask, Model
from journal.counting import TableCounter
from open_inference.inputs import list_some, to_array
from open_inference.messages import HEADER, Message, read_json, read_request, write_response
from open_inference.outputs import name_outputs, write_outputs
from open_inference.protocol import (
    IndexEntry,
    ModelMetadata,
    PredictRequest,
    PredictResponse,
    TensorMetadata,
)
from open_inference.tallies import Tally
from open_inference.tensors import TEXT, read_tensor
from schemas import Boolean, Category, Feature, Value


class Use(NamedTuple):
    """Where an inference is counted, and the most rows it may have."""

    tally: Tally
    counter: TableCounter
    max_rows: int


def infer(model: Model, use: Use, headers: Mapping[str, str], ask: Ask, body: bytes) -> Message:
    """V2, from bytes to bytes; raises MalformedBody, TableTooLarge or InvalidTensors."""
    with use.tally.watch() as watch:
        request, inputs = read_request(body, headers.get(HEADER))
        _require_few(max((tensor.shape[0] for tensor, _ in inputs if tensor.shape), default=0), use)
        X = to_array(model, [(tensor, read_tensor(tensor, binary)) for tensor, binary in inputs])
        watch.rows = len(X)
        watch.lap()
        values = name_outputs(model.classes, *ask(X))
        watch.lap()
        document: dict[str, Any] = {
            "model_name": model.description.name,
            "model_version": model.version,
        }
        if request.id is not None:
            document["id"] = request.id
        outputs = write_outputs(request, values)
        document["outputs"] = [output.head for output in outputs]
        binaries = [output.binary for output in outputs if output.binary is not None]
        message = write_response(document, binaries, headers.get("Accept-Encoding", ""))
        watch.lap()
    _count(model, X, values, use.counter)
    return message


def predict(model: Model, use: Use, ask: Ask, body: bytes) -> PredictResponse:
    """V1; raises MalformedBody, TableTooLarge or InvalidTensors."""
    with use.tally.watch() as watch:
        instances = read_json(PredictRequest, body).instances
        _require_few(len(instances), use)
        X = model.to_array([_read(model, *numbered) for numbered in enumerate(instances)])
        watch.rows = len(X)
        watch.lap()
        values = name_outputs(model.classes, *ask(X))
        watch.lap()
        response = PredictResponse(predictions=values["label"].tolist())
        watch.lap()
    _count(model, X, values, use.counter)
    return response


def _require_few(rows: int, use: Use) -> None:
    if rows > use.max_rows:
        message = f"It has {rows:,} rows; at most {use.max_rows:,} are taken at once. Split it."
        raise TableTooLarge(message)


def _count(model: Model, X: Array, values: dict[str, Array], counter: TableCounter) -> None:
    answers = values["predict"], values.get("predict_proba")
    counter.add(count_table(model.bins, X, *answers, len(model.classes)))
    counter.close()


def list_versions(lines: Sequence[Line]) -> list[IndexEntry]:
    """As Triton's index of a repository; any version that is not refused answers when asked."""
    return [
        IndexEntry(
            name=line.name,
            version=line.version,
            state="UNAVAILABLE" if line.reason else "READY",
            reason=line.reason or "",
        )
        for line in lines
    ]


def describe(model: Model, lines: Sequence[Line]) -> ModelMetadata:
    """List the versions that can be asked under the model's name, too."""
    name = model.description.name
    inputs = [
        TensorMetadata(name=feature.name, datatype=_datatype(feature), shape=[-1, 1])
        for feature in model.description.features
    ]
    outputs = [
        TensorMetadata(name="predict", datatype="INT64", shape=[-1]),
        TensorMetadata(name="label", datatype=TEXT, shape=[-1]),
    ]
    if model.has_probabilities:
        shape = [-1, len(model.classes)]
        outputs.append(TensorMetadata(name="predict_proba", datatype="FP64", shape=shape))
    return ModelMetadata(
        name=name,
        versions=[it.version for it in lines if it.name == name],
        platform="sklearn_pickle",
        inputs=inputs,
        outputs=outputs,
    )


def _datatype(feature: Feature) -> str:
    if isinstance(feature, Category):
        return TEXT
    return "BOOL" if isinstance(feature, Boolean) else "FP64"


def _read(model: Model, row: int, instance: list[Any] | dict[str, Any]) -> list[Value]:
    if isinstance(instance, list):
        if len(instance) != len(model.names):
            message = f"has {len(instance)} values, not one for each of {list_some(model.names)}"
            raise InvalidTensors(f"Instance {row}, counted from 0, {message}.")
        instance = dict(zip(model.names, instance, strict=True))
    try:
        return model.read_instance(to_json(instance))
    except InvalidInstance as invalid:
        raise InvalidTensors(f"Instance {row}, counted from 0: {invalid}") from None
