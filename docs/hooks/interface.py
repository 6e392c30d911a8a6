"""Makes the page of every route from the OpenAPI document of the backend."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

PAGE = "reference/http.md"
DOCUMENT = "reference/openapi.json"
SOURCES = ("backend/**/*.py", "mlflow/*.py", "docs/hooks/describe_api.py")
TOP = """# Every route

Made from the backend's own [OpenAPI document](openapi.json) when this site was built, with a model
of Iris live. Yours shows the fields of your model, at <http://localhost:8002/docs>. What the routes
are for, with examples: [The API](../api.md). Every failure is a
[problem document](../api.md#one-row), under `/v1` and `/v2` `{"error": "…"}`.
"""

Node = dict[str, Any]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    document = _read_document(Path(config.config_file_path).parent)
    files.append(File.generated(config, PAGE, content=write_page(document)))
    files.append(File.generated(config, DOCUMENT, content=json.dumps(document, indent=1)))
    return files


def _read_document(root: Path) -> Node:
    """Kept until the sources it is made from change."""
    content = b"".join(
        path.read_bytes()
        for pattern in SOURCES
        for path in sorted(root.glob(pattern))
        if "tests" not in path.parts
    )
    kept = root / ".docs_cache" / f"openapi_{hashlib.sha256(content).hexdigest()[:16]}.json"
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        command = [sys.executable, str(root / "docs/hooks/describe_api.py")]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise PluginError(f"The backend could not be asked for its routes:\n{done.stderr}")
        for older in kept.parent.glob("openapi_*.json"):
            older.unlink()
        kept.write_text(done.stdout)
    document: Node = json.loads(kept.read_text())
    return document


def write_page(document: Node) -> str:
    return "\n".join([TOP, *_write_routes(document), "## Bodies\n", *_write_schemas(document)])


def _write_routes(document: Node) -> Iterator[str]:
    tag = ""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if operation["tags"][0] != tag:
                tag = operation["tags"][0]
                yield f"## {tag.capitalize()}\n"
            yield f"### {method.upper()} {path}\n"
            yield from _write_operation(operation)


def _write_operation(operation: Node) -> Iterator[str]:
    yield f"{operation['summary']}. {operation.get('description', '')}".strip() + "\n"
    if parameters := operation.get("parameters"):
        yield "| parameter | in | type | means |\n| --- | --- | --- | --- |"
        for it in parameters:
            means = it.get("description", "")
            yield f"| `{it['name']}` | {it['in']} | {_name(it['schema'])} | {means} |"
        yield ""
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = content.get("schema", {})
        yield f"Takes `{media}`: {_name(schema)}\n"
        if "properties" in schema:
            yield from _write_fields(schema)
    yield "| answer | is |\n| --- | --- |"
    for status, response in operation["responses"].items():
        yield f"| {status} {HTTPStatus(int(status)).phrase} | {_name_contents(response)} |"
    yield ""


def _name_contents(response: Node) -> str:
    contents = response.get("content", {}).items()
    return "<br>".join(f"`{media}`: {_name(it.get('schema', {}))}" for media, it in contents)


def _write_schemas(document: Node) -> Iterator[str]:
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield f"### {name}\n"
        if said := schema.get("description"):
            yield f"{said}\n"
        if "properties" in schema:
            yield from _write_fields(schema)


def _write_fields(schema: Node) -> Iterator[str]:
    required = schema.get("required", [])
    yield "| field | type | means |\n| --- | --- | --- |"
    for name, field in schema["properties"].items():
        means = " ".join(field.get("description", "").split())
        optional = "" if name in required else " *may be left out*"
        yield f"| `{name}` | {_name(field)} | {means}{optional} |"
    yield ""


def _name(schema: Node) -> str:
    """A schema in a few words, with a link where it has a section of its own."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(map(_name, options)))
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{it}`" for it in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_name(schema.get('items', {}))}"
    values = schema.get("additionalProperties")
    if isinstance(values, dict):
        return f"object of {_name(values)}"
    return str(schema.get("title" if "properties" in schema else "type", "anything"))
