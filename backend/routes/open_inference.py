"""Speaks the Open Inference Protocol, V2, with Triton's binary tensors and statistics."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from errors import NoModelPublished
from inference import Model
from live import Live
from open_inference.exchange import describe, infer, list_versions
from open_inference.messages import read_json
from open_inference.protocol import (
    IndexEntry,
    IndexRequest,
    InferenceRequest,
    InferenceResponse,
    Liveness,
    ModelMetadata,
    ModelReadiness,
    ServerMetadata,
    ServerReadiness,
    Statistics,
)
from open_inference.tallies import Tallies
from openapi import describe_body
from problems import failure_responses
from routes.addressing import (
    Counts,
    LiveByName,
    Versioned,
    answer_body,
    keep_tallies,
    note_use,
    read_whole,
)
from routes.models import Folder

EXTENSIONS = ["binary_tensor_data", "statistics"]

_FOUND = failure_responses(404, 409, 503)
_INFERRED: dict[str, Any] = {
    "openapi_extra": describe_body(InferenceRequest, "application/octet-stream"),
    "response_class": Response,
    "responses": {
        200: {"model": InferenceResponse, "content": {"application/octet-stream": {}}},
        **failure_responses(400, 404, 409, 413, 415, 422, 503),
    },
}


router = APIRouter(tags=["open inference protocol"], lifespan=keep_tallies)


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
    body = await read_whole(request)
    wanted = read_json(IndexRequest, body) if body else IndexRequest()
    lines = await asyncio.to_thread(folder.list_all)
    return list_versions([it for it in lines if not (wanted.ready and it.reason)])


@router.get("/v2/models/stats", summary="Count the inferences of every version")
async def count_all(live: Live, tallies: Counts) -> Statistics:
    with suppress(NoModelPublished):
        tallies.of(live.model())
    return Statistics(model_stats=tallies.show())


@router.get("/v2/models/{name}", summary="Describe the live model", responses=_FOUND)
def describe_live(model: LiveByName, folder: Folder) -> ModelMetadata:
    return describe(model, folder.list_all())


@router.get("/v2/models/{name}/ready", summary="Whether the model is live", responses=_FOUND)
async def answer_model_readiness(model: LiveByName) -> ModelReadiness:
    return ModelReadiness(name=model.description.name, ready=True)


@router.post("/v2/models/{name}/infer", summary="Predict rows", **_INFERRED)
async def infer_live(request: Request, model: LiveByName, tallies: Counts) -> Response:
    """As JSON, or with binary tensors after it."""
    return await _infer(request, model, tallies)


@router.get("/v2/models/{name}/stats", summary="Count the inferences of a model", responses=_FOUND)
async def count_live(model: LiveByName, tallies: Counts) -> Statistics:
    """Of all its versions that were asked."""
    tallies.of(model)
    name = model.description.name
    return Statistics(model_stats=[it for it in tallies.show() if it.name == name])


@router.get("/v2/models/{name}/versions/{version}", summary="Describe a version", responses=_FOUND)
def describe_version(model: Versioned, folder: Folder) -> ModelMetadata:
    return describe(model, folder.list_all())


@router.get(
    "/v2/models/{name}/versions/{version}/ready",
    summary="Whether a version can answer",
    responses=_FOUND,
)
async def answer_version_readiness(model: Versioned) -> ModelReadiness:
    return ModelReadiness(name=model.description.name, ready=True)


@router.post(
    "/v2/models/{name}/versions/{version}/infer", summary="Predict rows by a version", **_INFERRED
)
async def infer_version(request: Request, model: Versioned, tallies: Counts) -> Response:
    """As JSON, or with binary tensors after it."""
    return await _infer(request, model, tallies)


@router.get(
    "/v2/models/{name}/versions/{version}/stats",
    summary="Count the inferences of a version",
    responses=_FOUND,
)
async def count_version(model: Versioned, tallies: Counts) -> Statistics:
    return Statistics(model_stats=[tallies.of(model).show()])


async def _infer(request: Request, model: Model, tallies: Tallies) -> Response:
    use = note_use(request, model, tallies)
    message = await answer_body(request, model, partial(infer, model, use, request.headers))
    return Response(message.body, headers=message.headers)
