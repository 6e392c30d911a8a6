"""Answers the inference requests of the Open Inference Protocol."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic_core import to_json
from starlette.responses import Response

from errors import InvalidInstance, InvalidTensors, TableTooLarge
from features.binning import Array
from features.counts import count_table
from journal.ledger import Ledger, TableCounter
from open_inference.codec import HEADER, read_json, read_request, write_response
from open_inference.inputs import arrange_columns, list_some, refuse_rows
from open_inference.protocol import ModelMetadata, PredictRequest, PredictResponse, TensorMetadata
from open_inference.statistics import ServerStatistics, Stopwatch
from open_inference.tensors import TEXT, name_datatype, read_tensor
from schemas import Boolean, Category, Feature, Value
from serving.catalogue import Line
from serving.inference import Ask, Model


class Responder(NamedTuple):
    """Answers bodies by a model and counts that; `max_rows` is the most rows of one body.

    Raises MalformedBody, TableTooLarge or InvalidTensors.
    """

    model: Model
    statistics: ServerStatistics
    ledger: Ledger
    max_rows: int

    def infer(self, headers: Mapping[str, str], ask: Ask, body: bytes) -> Response:
        """V2."""
        with self.statistics.watch(self.model) as watch:
            request, inputs = read_request(body, headers.get(HEADER))
            self._require_few(max(tensor.shape[0] for tensor, _ in inputs))
            tensors = [(tensor.name, read_tensor(tensor, binary)) for tensor, binary in inputs]
            X = arrange_columns(self.model, tensors)
            values = self._answer(X, ask, watch)
            accepted = headers.get("Accept-Encoding", "")
            response = write_response(request, self.model, values, accepted)
        self._count(X, values)
        return response

    def predict(self, ask: Ask, body: bytes) -> PredictResponse:
        """V1."""
        with self.statistics.watch(self.model) as watch:
            instances = read_json(PredictRequest, body).instances
            self._require_few(len(instances))
            rows = [_read_instance(self.model, *numbered) for numbered in enumerate(instances)]
            X = self.model.to_array(rows)
            values = self._answer(X, ask, watch)
            response = PredictResponse(predictions=values["label"].tolist())
        self._count(X, values)
        return response

    def _require_few(self, rows: int) -> None:
        if rows > self.max_rows:
            most = f"at most {self.max_rows:,} are taken at once"
            raise TableTooLarge(f"It has {rows:,} rows; {most}. Split it.")

    def _answer(self, X: Array, ask: Ask, watch: Stopwatch) -> dict[str, Array]:
        watch.rows = len(X)
        watch.lap()
        values = name_outputs(self.model.classes, *ask(X))
        watch.lap()
        return values

    def _count(self, X: Array, values: dict[str, Array]) -> None:
        """A request is one entry of the journal, as a table is."""
        answers = values["predict"], values.get("predict_proba")
        counter = TableCounter(self.model, self.ledger)
        counter.add(count_table(self.model.bins, X, *answers, len(self.model.classes)))
        counter.close()


def name_outputs(
    classes: list[str], indices: Array, probabilities: Array | None
) -> dict[str, Array]:
    """Every output by its name; raises InvalidTensors naming the rows without an answer."""
    refuse_rows(indices < 0, "The model has no answer to values this large or this unusual")
    outputs = {
        "predict": indices.astype(np.int64),
        "label": np.array(classes, dtype=object)[indices],
    }
    return outputs if probabilities is None else outputs | {"predict_proba": probabilities}


def make_metadata(model: Model, lines: Sequence[Line]) -> ModelMetadata:
    """List the versions that can be asked under the model's name, too."""
    no_probabilities = np.empty((0, len(model.classes))) if model.has_probabilities else None
    outputs = name_outputs(model.classes, np.empty(0, np.intp), no_probabilities)
    return ModelMetadata(
        name=model.description.name,
        versions=[
            line.version
            for line in lines
            if line.name == model.description.name and not line.reason
        ],
        platform="sklearn_pickle",
        inputs=[
            TensorMetadata(name=feature.name, datatype=_choose_datatype(feature), shape=[-1, 1])
            for feature in model.description.features
        ],
        outputs=[
            TensorMetadata(name=name, datatype=name_datatype(array), shape=[-1, *array.shape[1:]])
            for name, array in outputs.items()
        ],
    )


def _choose_datatype(feature: Feature) -> str:
    if isinstance(feature, Category):
        return TEXT
    return "BOOL" if isinstance(feature, Boolean) else "FP64"


def _read_instance(model: Model, row: int, instance: list[Any] | dict[str, Any]) -> list[Value]:
    if isinstance(instance, list):
        if len(instance) != len(model.names):
            message = f"has {len(instance)} values, not one for each of {list_some(model.names)}"
            raise InvalidTensors(f"Instance {row}, counted from 0, {message}.")
        instance = dict(zip(model.names, instance, strict=True))
    try:
        return model.read_instance(to_json(instance))
    except InvalidInstance as invalid:
        raise InvalidTensors(f"Instance {row}, counted from 0: {invalid}") from None
