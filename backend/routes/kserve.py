"""Speaks V1 of the protocol, as KServe's clients do."""

from functools import partial

from fastapi import APIRouter, Request

from open_inference.exchange import predict
from open_inference.protocol import ModelReadiness, PredictRequest, PredictResponse
from openapi import describe_body
from problems import failure_responses
from routes.addressing import Counts, LiveByName, answer_body, note_use

router = APIRouter(tags=["open inference protocol"])


@router.post(
    "/v1/models/{name}:predict",
    summary="Predict the classes of instances",
    openapi_extra=describe_body(PredictRequest),
    responses=failure_responses(400, 404, 413, 415, 422, 503),
)
async def predict_instances(
    request: Request, model: LiveByName, tallies: Counts
) -> PredictResponse:
    use = note_use(request, model, tallies)
    return await answer_body(request, model, partial(predict, model, use))


@router.get(
    "/v1/models/{name}", summary="Whether the model is live", responses=failure_responses(404, 503)
)
async def answer_readiness(model: LiveByName) -> ModelReadiness:
    return ModelReadiness(name=model.description.name, ready=True)
