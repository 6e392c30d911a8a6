"""Answers one instance with one prediction."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from bodies import read_json_body
from live import Live
from problems import problem_responses
from schemas import Prediction

router = APIRouter(tags=["predict"])

Version = Annotated[
    str | None, Query(description="A published version; without it the live one answers.")
]


@router.post("/predict", responses=problem_responses(400, 404, 409, 413, 415, 422, 503))
async def predict(request: Request, live: Live, version: Version = None) -> Prediction:
    """Class and class probabilities for one instance of the model's features."""
    model = await live.version(version) if version else live.model()
    limit = min(model.max_body_bytes, request.app.state.settings.max_body_bytes)
    return await model.predict(model.read_instance(await read_json_body(request, limit)))
