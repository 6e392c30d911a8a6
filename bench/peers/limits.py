"""The two servers that say how fast a Python server can be: a bare ASGI app, and a FastAPI one."""

import json

from fastapi import FastAPI
from iris import Iris
from pydantic import BaseModel
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope


class Prediction(BaseModel):
    prediction: int
    prediction_class: str
    probabilities: dict[str, float]
    version: str
    prediction_id: str
    warnings: list[str]


ANSWER = {
    "prediction": 0,
    "prediction_class": "setosa",
    "probabilities": {"setosa": 0.98123456789012, "versicolor": 0.0187654321, "virginica": 1e-9},
    "version": "2026_11_21_T20_44_20",
    "prediction_id": "0" * 32,
    "warnings": [],
}
CONTENT = json.dumps(ANSWER).encode()
HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(CONTENT)).encode()),
]


async def bare(scope: Scope, _: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Sends a constant, and does not even read what was asked."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": CONTENT})


fastapi = FastAPI()


@fastapi.post("/predict")
async def predict(_: Iris) -> Prediction:
    """Validates, and sends a constant."""
    return Prediction.model_validate(ANSWER)
