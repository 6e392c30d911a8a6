"""Describes the API with the schema of the live model."""

import json
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, TypeAdapter

from errors import NoModelPublished
from inference import Model
from live import LiveModel


def describe_with_live_model(app: FastAPI, live: LiveModel) -> Callable[[], dict[str, Any]]:
    """The function FastAPI calls for /openapi.json: made anew for each model that goes live."""
    made: dict[Model, dict[str, Any]] = {}
    has_keys = bool(app.state.settings.api_keys)

    def openapi() -> dict[str, Any]:
        try:
            model = live.model()
        except NoModelPublished as error:
            return _lock(_describe_without_model(app, str(error)), has_keys)
        if model not in made:  # a tenth of a second, in which nothing else is answered
            made.clear()
            made[model] = _lock(_describe(app, model), has_keys)
        return made[model]

    return openapi


def _lock(document: dict[str, Any], has_keys: bool) -> dict[str, Any]:
    """With the ways to send a key, so that /docs asks for one."""
    if has_keys:
        components = document.setdefault("components", {})
        components["securitySchemes"] = {
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            "bearer": {"type": "http", "scheme": "bearer"},
        }
        document["security"] = [{"key": []}, {"bearer": []}]
    return document


def _describe_without_model(app: FastAPI, why: str) -> dict[str, Any]:
    document = _describe_routes(app)
    for operation in _find_operations(document):
        operation["description"] += f"\n\n{why}"
        operation["requestBody"] = _require({"schema": {"type": "object"}})
    return document


def _describe(app: FastAPI, model: Model) -> dict[str, Any]:
    document = _describe_routes(app)
    instance = _instance_schema(model)
    for operation in _find_operations(document):
        operation["requestBody"] = _require({"schema": instance})
    predict, batch = (document["paths"][it]["post"] for it in ("/predict", "/predict/batch"))
    predict["responses"]["200"]["content"]["application/json"] |= _answer(model)
    batch["requestBody"]["content"]["application/json"]["schema"] = _table_schema(instance)
    return document


def _describe_routes(app: FastAPI) -> dict[str, Any]:
    return get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )


def _find_operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Those that take one instance."""
    return [document["paths"][path]["post"] for path in ("/predict", "/explain")]


def _require(content: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": content}}


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
    example = next((it for it in model.description.examples if it.probabilities), None)
    if example is None:
        return {}
    probabilities = example.probabilities
    values = model.read_instance(json.dumps(example.inputs).encode())
    answer = probabilities.index(max(probabilities)), probabilities
    return {"example": model.describe(values, answer)}
