"""Speaks the Open Inference Protocol: V2, with Triton's binary tensors and statistics, and V1."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from errors import NoModelPublished
from live import Live
from open_inference.exchange import describe, infer, list_versions, predict
from open_inference.messages import read_json
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
from openapi import describe_body
from problems import failure_responses
from routes.addressing import Counts, Found, answer_body, find_live, find_version, read_whole
from routes.models import Folder

EXTENSIONS = ["binary_tensor_data", "statistics"]

_BY_NAME = [Depends(find_live)]
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
named = APIRouter(prefix="/v2/models/{name}", dependencies=_BY_NAME, responses=_FOUND)
versioned = APIRouter(
    prefix="/v2/models/{name}/versions/{version}",
    dependencies=[Depends(find_version)],
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
    body = await read_whole(request)
    wanted = read_json(IndexRequest, body) if body else IndexRequest()
    lines = await asyncio.to_thread(folder.list_all)
    return list_versions([it for it in lines if not (wanted.ready and it.reason)])


@router.get("/v2/models/stats", summary="Count the inferences of every version")
async def count_all(live: Live, tallies: Counts) -> Statistics:
    with suppress(NoModelPublished):
        tallies.of(live.model())
    return Statistics(model_stats=tallies.show())


@named.get("", summary="Describe the live model")
@versioned.get("", summary="Describe a version")
def describe_model(model: Found, folder: Folder) -> ModelMetadata:
    return describe(model, folder.list_all())


@router.get(
    "/v1/models/{name}",
    summary="Whether the model is live",
    dependencies=_BY_NAME,
    responses=failure_responses(404, 503),
)
@named.get("/ready", summary="Whether the model is live")
@versioned.get("/ready", summary="Whether a version can answer")
async def answer_model_readiness(model: Found) -> ModelReadiness:
    return ModelReadiness(name=model.description.name, ready=True)


@named.post("/infer", summary="Predict rows", **_INFERRED)
@versioned.post("/infer", summary="Predict rows by a version", **_INFERRED)
async def infer_rows(request: Request, model: Found) -> Response:
    """As JSON, or with binary tensors after it."""
    message = await answer_body(request, model, partial(infer, request.headers))
    return Response(message.body, headers=message.headers)


@named.get("/stats", summary="Count the inferences of a model")
async def count_model(model: Found, tallies: Counts) -> Statistics:
    """Of all its versions that were asked."""
    tallies.of(model)
    name = model.description.name
    return Statistics(model_stats=[it for it in tallies.show() if it.name == name])


@versioned.get("/stats", summary="Count the inferences of a version")
async def count_version(model: Found, tallies: Counts) -> Statistics:
    return Statistics(model_stats=[tallies.of(model).show()])


@router.post(
    "/v1/models/{name}:predict",
    summary="Predict the classes of instances",
    openapi_extra=describe_body(PredictRequest),
    dependencies=_BY_NAME,
    responses=failure_responses(400, 404, 413, 415, 422, 503),
)
async def predict_instances(request: Request, model: Found) -> PredictResponse:
    return await answer_body(request, model, predict)


router.include_router(named)
router.include_router(versioned)
