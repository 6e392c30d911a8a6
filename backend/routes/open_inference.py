"""Speaks the Open Inference Protocol: V2, with Triton's binary tensors and statistics, and V1."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request, Response

from batch.download import unless_gone
from batch.queue import Queue
from errors import UnknownModel, shorten
from open_inference.codec import read_json
from open_inference.protocol import (
    IndexEntry,
    IndexRequest,
    InferenceRequest,
    InferenceResponse,
    Liveness,
    ModelMetadata,
    ModelReadiness,
    PredictRequest,
    PredictResponse,
    ServerMetadata,
    ServerReadiness,
    Statistics,
)
from open_inference.responder import Responder, make_metadata
from open_inference.statistics import ServerStatistics
from routes.models import Folder
from serving.inference import Ask, LeftToWorker, Model
from serving.live import Live
from web.bodies import read_body
from web.openapi import describe_body
from web.problems import failure_responses

EXTENSIONS = ["binary_tensor_data", "statistics"]
LARGE_BODY = 8192  # bytes; no more rows than keep nobody waiting
TABLE_BODY = 1024**2  # from here on it waits in the queue, as tables do

Result = TypeVar("Result")


async def _find_model(request: Request, name: str, live: Live) -> Model:
    """That version if the path has one, else the live one."""
    version = request.path_params.get("version")
    model = await live.find(version)
    if model.description.name != name:
        known = f"Version {model.version} is of the model {model.description.name}"
        raise UnknownModel(f"There is no model {shorten(name)} here. {known}.")
    return model


Found = Annotated[Model, Depends(_find_model)]


async def _declare_version(name: str, version: str) -> None:
    """Puts the version into the document of the API."""


async def _make_responder(request: Request, model: Found) -> Responder:
    state = request.app.state
    return Responder(model, state.statistics, state.ledger, state.settings.max_batch_rows)


Responding = Annotated[Responder, Depends(_make_responder)]

_FOUND = failure_responses(404, 409, 503)
_INFERRED: dict[str, Any] = {
    "openapi_extra": describe_body(InferenceRequest, "application/octet-stream"),
    "response_class": Response,
    "responses": {
        200: {"model": InferenceResponse, "content": {"application/octet-stream": {}}},
        **failure_responses(400, 413, 415, 422),
    },
}

router = APIRouter(tags=["open inference protocol"])
named = APIRouter(prefix="/v2/models/{name}", responses=_FOUND)
versioned = APIRouter(
    prefix="/v2/models/{name}/versions/{version}",
    dependencies=[Depends(_declare_version)],
    responses=_FOUND,
)


@router.get("/v2/", include_in_schema=False)
@router.get("/v2", summary="Describe the server")
async def describe_server(request: Request) -> ServerMetadata:
    app = request.app
    return ServerMetadata(name=app.title, version=app.version, extensions=EXTENSIONS)


@router.get("/v2/health/live", summary="Whether the process lives")
async def answer_liveness() -> Liveness:
    return Liveness(live=True)


@router.get("/v2/health/ready", summary="Whether a model is live", responses=failure_responses(503))
async def answer_readiness(live: Live) -> ServerReadiness:
    live.model()
    return ServerReadiness(ready=True)


@router.post(
    "/v2/repository/index",
    summary="List every version, or those that are ready",
    openapi_extra=describe_body(IndexRequest, required=False),
    responses=failure_responses(400, 413, 415, 422, 503),
)
async def list_index(request: Request, folder: Folder) -> list[IndexEntry]:
    # As in Triton's index; any version that is not refused answers when asked.
    body = await _read_whole(request)
    wanted = read_json(IndexRequest, body) if body else IndexRequest()
    lines = await asyncio.to_thread(folder.list_all)
    return [
        IndexEntry(
            name=line.name,
            version=line.version,
            state="UNAVAILABLE" if line.reason else "READY",
            reason=line.reason or "",
        )
        for line in lines
        if not (wanted.ready and line.reason)
    ]


@router.get("/v2/models/stats", summary="Count the inferences of every version")
async def count_all(request: Request, live: Live) -> Statistics:
    statistics: ServerStatistics = request.app.state.statistics
    return statistics.show(live.current)


# Before the route whose {name} would match this path as well.
@router.post(
    "/v1/models/{name}:predict",
    summary="Predict the classes of instances",
    openapi_extra=describe_body(PredictRequest),
    responses=failure_responses(400, 404, 413, 415, 422, 503),
)
async def predict_instances(request: Request, responder: Responding) -> PredictResponse:
    return await _answer_body(request, responder.model, responder.predict)


@named.get("", summary="Describe the live model")
@versioned.get("", summary="Describe a version")
def describe_model(model: Found, folder: Folder) -> ModelMetadata:
    return make_metadata(model, folder.list_all())


@router.get(
    "/v1/models/{name}",
    summary="Whether the model is live",
    responses=failure_responses(404, 503),
)
@named.get("/ready", summary="Whether the model is live")
@versioned.get("/ready", summary="Whether a version can answer")
async def answer_model_readiness(model: Found) -> ModelReadiness:
    return ModelReadiness(name=model.description.name, ready=True)


@named.post("/infer", summary="Predict rows", **_INFERRED)
@versioned.post("/infer", summary="Predict rows by a version", **_INFERRED)
async def infer_rows(request: Request, responder: Responding) -> Response:
    """As JSON, or with binary tensors after it."""
    infer = partial(responder.infer, request.headers)
    return await _answer_body(request, responder.model, infer)


@named.get("/stats", summary="Count the inferences of a model")
async def count_model(responder: Responding) -> Statistics:
    """Of all its versions that were asked."""
    model = responder.model
    return responder.statistics.show(model, model.description.name)


@versioned.get("/stats", summary="Count the inferences of a version")
async def count_version(responder: Responding) -> Statistics:
    model = responder.model
    return responder.statistics.show(model, model.description.name, model.version)


async def _read_whole(request: Request) -> bytes:
    return await read_body(request, request.app.state.settings.max_body_bytes)


async def _answer_body(
    request: Request, model: Model, answer: Callable[[Ask, bytes], Result]
) -> Result:
    """Answer in the model's thread, so that nobody else waits; a large body waits in the queue."""
    body = await _read_whole(request)
    if len(body) <= LARGE_BODY:
        with suppress(LeftToWorker):
            return answer(model.answer_at_once, body)
    work = partial(answer, model.answer, body)
    if len(body) < TABLE_BODY:
        return await model.run(work)
    return await unless_gone(request, _wait_in(request.state.queue, work))


async def _wait_in(queue: Queue, work: Callable[[], Result]) -> Result:
    async with queue.turn():
        return await queue.run(work)


router.include_router(named)
router.include_router(versioned)
