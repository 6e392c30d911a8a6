"""Describes the API with the schema of the live model."""

import json
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, TypeAdapter

from errors import NoModelPublished
from serving.inference import Model
from serving.live import LiveModel


def describe_with_live_model(app: FastAPI, live: LiveModel) -> Callable[[], dict[str, Any]]:
    """The function FastAPI calls for /openapi.json: made anew for each model that goes live."""
    made: dict[Model, dict[str, Any]] = {}

    def openapi() -> dict[str, Any]:
        try:
            model = live.model()
        except NoModelPublished as error:
            return _describe_routes(app, {"type": "object"}, str(error))
        if model not in made:  # a tenth of a second, in which nothing else is answered
            made.clear()
            made[model] = _describe_model(app, model)
        return made[model]

    return openapi


def _describe_routes(app: FastAPI, instance: dict[str, Any], remark: str = "") -> dict[str, Any]:
    """All routes; those that take one instance have its schema, and a remark if there is any."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    content = {"application/json": {"schema": instance}}
    for path in ("/predict", "/explain"):
        operation = document["paths"][path]["post"]
        operation["description"] = f"{operation['description']}\n\n{remark}".rstrip()
        operation["requestBody"] = {"required": True, "content": content}
    if app.state.settings.api_keys:  # so that /docs asks for one
        document["components"]["securitySchemes"] = {
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            "bearer": {"type": "http", "scheme": "bearer"},
        }
        document["security"] = [{"key": []}, {"bearer": []}]
    return document


def _describe_model(app: FastAPI, model: Model) -> dict[str, Any]:
    instance = _instance_schema(model)
    document = _describe_routes(app, instance)
    predict = document["paths"]["/predict"]["post"]
    predict["responses"]["200"]["content"]["application/json"] |= _answer(model)
    for path in ("/predict/batch", "/predict/batch/preview"):
        content = document["paths"][path]["post"]["requestBody"]["content"]
        content["application/json"]["schema"] = _table_schema(instance)
    return document


def describe_body(
    kind: type[BaseModel], *media_types: str, required: bool = True
) -> dict[str, Any]:
    """The OpenAPI entry of a body that its route reads itself."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    content: dict[str, Any] = dict.fromkeys(media_types, binary)
    content["application/json"] = {"schema": describe_type(TypeAdapter(kind))}
    return {"requestBody": {"required": required, "content": content}}


def describe_type(kind: TypeAdapter[Any]) -> Any:
    """A schema without references."""
    schema = kind.json_schema()
    return _resolve(schema, schema.get("$defs", {}))


def _resolve(schema: Any, definitions: dict[str, Any]) -> Any:
    """With each definition in its place, as a reference would be looked up in the document."""
    if isinstance(schema, list):
        return [_resolve(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _resolve(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: _resolve(value, definitions) for key, value in schema.items() if key != "$defs"}


def _instance_schema(model: Model) -> dict[str, Any]:
    schema = model.instance_type.model_json_schema()
    examples = [example.inputs for example in model.description.examples]
    return {**schema, "title": model.description.name, "examples": examples}


def _table_schema(instance: dict[str, Any]) -> dict[str, Any]:
    """Of many instances, one by one or feature by feature."""
    examples = instance["examples"]
    columns = {
        name: {"type": "array", "items": schema, "title": name}
        for name, schema in instance["properties"].items()
    }
    kept = ("type", "required", "additionalProperties")
    table = {key: instance[key] for key in kept if key in instance}
    by_column = {name: [example.get(name) for example in examples] for name in columns}
    one_by_one = {"type": "array", "minItems": 1, "items": {**instance, "examples": []}}
    return {
        "oneOf": [
            _wrap("instances", one_by_one, examples),
            _wrap("columns", {**table, "properties": columns}, by_column),
        ]
    }


def _wrap(name: str, schema: dict[str, Any], example: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: schema},
        "required": [name],
        "additionalProperties": False,
        "examples": [{name: example}] if example else [],
    }


def _answer(model: Model) -> dict[str, Any]:
    """The answer to the manifest's first example, as the model has been seen to give it."""
    example = next(filter(attrgetter("probabilities"), model.description.examples), None)
    if example is None:
        return {}
    probabilities = example.probabilities
    values = model.read_instance(json.dumps(example.inputs).encode())
    answer = probabilities.index(max(probabilities)), probabilities
    return {"example": model.describe(values, answer)}
