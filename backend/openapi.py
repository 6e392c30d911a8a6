"""Describes the API with the schema of the live model."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from errors import NoModelPublished
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
        document["paths"]["/predict"]["post"]["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _instance_schema(live)}},
        }
        return document

    return openapi


def _instance_schema(live: LiveModel) -> dict[str, Any]:
    try:
        model = live.model()
    except NoModelPublished:
        return {"type": "object", "description": "The features of the live model, once there is one"}
    schema = model.instance_type.model_json_schema()
    examples = [example.inputs for example in model.manifest.examples]
    return {**schema, "title": model.manifest.name, "examples": examples}
