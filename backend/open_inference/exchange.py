"""Answers the inference requests of the Open Inference Protocol."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic_core import to_json

from errors import InvalidInstance, InvalidTensors, TableTooLarge
from features.counts import count_table
from journal.ledger import TableCounter
from open_inference.inputs import list_some, to_array
from open_inference.messages import HEADER, Message, read_json, read_request, write_response
from open_inference.protocol import (
    IndexEntry,
    ModelMetadata,
    PredictRequest,
    PredictResponse,
    TensorMetadata,
)
from open_inference.tallies import Stopwatch, Tally
from open_inference.tensors import TEXT, read_tensor
from schemas import Boolean, Category, Feature, Value
from serving.catalogue import Line
from serving.inference import Array, Ask, Model


class Use(NamedTuple):
    """A model that is asked, where that is counted, and the most rows it may be asked for."""

    model: Model
    tally: Tally
    counter: TableCounter
    max_rows: int


def infer(headers: Mapping[str, str], use: Use, ask: Ask, body: bytes) -> Message:
    """V2, from bytes to bytes; raises MalformedBody, TableTooLarge or InvalidTensors."""
    model = use.model
    with use.tally.watch() as watch:
        request, inputs = read_request(body, headers.get(HEADER))
        _require_few(max(tensor.shape[0] for tensor, _ in inputs), use)
        X = to_array(model, [(tensor, read_tensor(tensor, binary)) for tensor, binary in inputs])
        values = _answer(use, watch, ask, X)
        document = {"model_name": model.description.name, "model_version": model.version}
        if request.id is not None:
            document["id"] = request.id
        accepted = headers.get("Accept-Encoding", "")
        message = write_response(request, document, values, accepted)
    _count(use, X, values)
    return message


def predict(use: Use, ask: Ask, body: bytes) -> PredictResponse:
    """V1; raises MalformedBody, TableTooLarge or InvalidTensors."""
    model = use.model
    with use.tally.watch() as watch:
        instances = read_json(PredictRequest, body).instances
        _require_few(len(instances), use)
        X = model.to_array([_read(model, *numbered) for numbered in enumerate(instances)])
        values = _answer(use, watch, ask, X)
        response = PredictResponse(predictions=values["label"].tolist())
    _count(use, X, values)
    return response


def _require_few(rows: int, use: Use) -> None:
    if rows > use.max_rows:
        message = f"It has {rows:,} rows; at most {use.max_rows:,} are taken at once. Split it."
        raise TableTooLarge(message)


def _answer(use: Use, watch: Stopwatch, ask: Ask, X: Array) -> dict[str, Array]:
    watch.rows = len(X)
    watch.lap()
    values = name_outputs(use.model.classes, *ask(X))
    watch.lap()
    return values


def name_outputs(
    classes: list[str], indices: Array, probabilities: Array | None
) -> dict[str, Array]:
    """Every output by its name; raises InvalidTensors naming the rows without an answer."""
    if (indices < 0).any():
        rows = list_some(np.flatnonzero(indices < 0).tolist())
        message = "The model has no answer to values this large or this unusual"
        raise InvalidTensors(f"{message}: see row {rows}, counted from 0.")
    outputs = {
        "predict": indices.astype(np.int64),
        "label": np.array(classes, dtype=object)[indices],
    }
    return outputs if probabilities is None else outputs | {"predict_proba": probabilities}


def _count(use: Use, X: Array, values: dict[str, Array]) -> None:
    answers = values["predict"], values.get("predict_proba")
    use.counter.add(count_table(use.model.bins, X, *answers, len(use.model.classes)))
    use.counter.close()


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
