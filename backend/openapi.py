"""Describes the API with the schema of the live model."""

import json
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from errors import NoModelPublished
from inference import Model
from live import LiveModel


def describe_with_live_model(app: FastAPI, live: LiveModel) -> Callable[[], dict[str, Any]]:
    """The function FastAPI calls for /openapi.json: made anew each time, as models change."""

    def openapi() -> dict[str, Any]:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
        )
        predict = document["paths"]["/predict"]["post"]
        instance: dict[str, Any] = {"schema": {"type": "object"}}
        try:
            model = live.model()
        except NoModelPublished as error:
            predict["description"] += f"\n\n{error}"
        else:
            instance["schema"] = _instance_schema(model)
            predict["responses"]["200"]["content"]["application/json"] |= _answer(model)
        predict["requestBody"] = {"required": True, "content": {"application/json": instance}}
        return document

    return openapi


def _instance_schema(model: Model) -> dict[str, Any]:
    schema = model.instance_type.model_json_schema()
    examples = [example.inputs for example in model.description.examples]
    return {**schema, "title": model.description.name, "examples": examples}


def _answer(model: Model) -> dict[str, Any]:
    """What the model says of its manifest's first example."""
    if not model.description.examples:
        return {}
    inputs = model.description.examples[0].inputs
    values = model.read_instance(json.dumps(inputs).encode())
    return {"example": model.predict(values).model_dump()}
