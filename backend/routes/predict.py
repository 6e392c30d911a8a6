"""Answers one instance with one prediction."""

from uuid import uuid4

import numpy as np
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
    values = model.read_instance(body)
    probabilities = model.predict_proba(np.array([values]))[0].tolist()
    prediction = max(range(len(probabilities)), key=probabilities.__getitem__)
    return Prediction(
        prediction=prediction,
        prediction_class=model.classes[prediction],
        probabilities=dict(zip(model.classes, probabilities, strict=True)),
        model_version=model.version,
        prediction_id=str(uuid4()),
        warnings=model.warn_of(values),
    )
