"""Answers one instance with one prediction."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from schemas import Prediction, Value
from serving.inference import Model
from serving.live import Live
from web.bodies import read_json_body
from web.problems import problem_responses

router = APIRouter(tags=["predict"])

Version = Annotated[
    str | None, Query(description="A published version; without it the live one answers.")
]


async def _find_model(live: Live, version: Version = None) -> Model:
    return await live.find(version)


Asked = Annotated[Model, Depends(_find_model)]


async def read_values(request: Request, model: Model) -> list[Value]:
    """Of the one instance in the body."""
    return model.read_instance(await read_json_body(request, model.max_body_bytes))


@router.post("/predict", responses=problem_responses(400, 404, 409, 413, 415, 422, 503))
async def predict(request: Request, model: Asked) -> Prediction:
    """Class and class probabilities for one instance of the model's features."""
    values = await read_values(request, model)
    prediction = await model.predict(values)
    request.app.state.ledger.add(model, prediction, values)
    return prediction
