"""Answers one instance with one prediction."""

from fastapi import APIRouter, Request

from bodies import read_json_body
from live import Live
from problems import problem_responses
from schemas import Prediction

router = APIRouter(tags=["predict"])


@router.post("/predict", responses=problem_responses(400, 413, 415, 422, 503))
async def predict(request: Request, live: Live) -> Prediction:
    """Class and class probabilities for one instance of the live model's features."""
    body = await read_json_body(request, request.app.state.settings.max_body_bytes)
    model = live.model()
    return model.predict(model.read_instance(body))
