"""The requests of a mixed load, right ones and wrong ones, and how their answers are read."""

import csv
import io
import json
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
from formats import ARROW, CSV, JSON, PARQUET
from formats import write as write_table
from load import make_table
from models import NAMES
from processes import INSTANCE
from wire import INFER, INFER_V1, LENGTH, Answer, join_binary, make_tensor, write_request

CLASSES = ["setosa", "versicolor", "virginica"]
LOW, HIGH = [4.0, 1.8, 0.8, 0.0], [8.2, 4.6, 7.2, 2.8]  # a little beyond what was trained on

# Of each kind another number, by which the journal tells them apart.
ROWS = {CSV: 37, ARROW: 41, PARQUET: 43, JSON: 47, "/v2, JSON": 3, "/v2, binary": 5, "/v1": 7}
SINGLE = "/predict"

Rows = list[list[float]]


class AnsweredRows(NamedTuple):
    """Rows with what was predicted; without a version, any may have answered."""

    version: str | None
    rows: Rows
    labels: list[str]
    probabilities: list[dict[str, float]] | None  # of some classes at least
    identifier: str | None = None


class Question(NamedTuple):
    kind: str
    path: str
    content: bytes
    method: str = "POST"
    statuses: tuple[int, ...] = (200,)
    read: Callable[[Answer], AnsweredRows] | None = None


def draw(random: Random, count: int) -> Rows:
    ranges = list(zip(LOW, HIGH, strict=True))
    return [[round(random.uniform(low, high), 1) for low, high in ranges] for _ in range(count)]


def describe(row: list[float]) -> dict[str, float]:
    return dict(zip(NAMES, row, strict=True))


def write(method: str, path: str, body: object = b"", **headers: str) -> bytes:
    """Write a request: a body that is not bytes as JSON, headers by names with underscores."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"content-type": JSON} | {k.replace("_", "-"): v for k, v in headers.items()}
    pairs = [(name.encode(), value.encode()) for name, value in named.items()]
    return write_request(method, path, pairs, content)


def predict_one(random: Random, version: str | None = None) -> Question:
    """By the live version, or by one that is loaded for it."""
    [row] = draw(random, 1)
    path = f"/predict?version={version}" if version else "/predict"
    kind = "/predict?version" if version else SINGLE

    def read(answer: Answer) -> AnsweredRows:
        found = json.loads(answer.body)
        if version not in (None, found["model_version"]):
            raise ValueError(f"{found['model_version']} answered for {version}")
        label, named = found["prediction_class"], found["probabilities"]
        return AnsweredRows(found["model_version"], [row], [label], [named], found["prediction_id"])

    return Question(kind, path, write("POST", path, describe(row)), read=read)


def predict_table(random: Random) -> Question:
    kind = random.choice([CSV, ARROW, PARQUET, JSON])
    rows = draw(random, ROWS[kind])
    content = write("POST", "/predict/batch", write_rows(rows, kind), content_type=kind)

    def read(answer: Answer) -> AnsweredRows:
        columns = READERS[kind](answer.body)
        version = answer.headers["x-model-version"]
        if kind != JSON and _read_rows(columns, NAMES) != rows:
            raise ValueError("other rows came back")
        named = [
            dict(zip(CLASSES, row, strict=True))
            for row in _read_rows(columns, [f"probability_{name}" for name in CLASSES])
        ]
        return AnsweredRows(version, rows, list(columns["prediction_class"]), named)

    name = kind.rpartition("/")[2].removeprefix("vnd.apache.").removesuffix(".stream")
    return Question(f"/predict/batch, {name}", "/predict/batch", content, read=read)


def write_rows(rows: Rows, kind: str) -> bytes:
    return write_table(make_table(np.array(rows)), kind)


def _read_rows(columns: dict[str, list[Any]], names: list[str]) -> Rows:
    return [list(map(float, row)) for row in zip(*map(columns.get, names), strict=True)]


def _read_csv(content: bytes) -> dict[str, list[Any]]:
    names, *lines = csv.reader(content.decode().splitlines())
    return {name: [line[place] for line in lines] for place, name in enumerate(names)}


READERS: dict[str, Callable[[bytes], dict[str, list[Any]]]] = {
    CSV: _read_csv,
    JSON: lambda content: json.loads(content)["columns"],
    ARROW: lambda content: pa.ipc.open_stream(content).read_all().to_pydict(),
    PARQUET: lambda content: pq.read_table(io.BytesIO(content)).to_pydict(),
}


def infer(random: Random, version: str | None = None) -> Question:
    """By the open protocol, in JSON."""
    rows = draw(random, ROWS["/v2, JSON"])
    between = f"/versions/{version}" if version else ""
    path = f"/v2/models/iris{between}/infer"
    content = write("POST", path, {"inputs": [make_tensor(len(rows), data=rows)]})

    def read(answer: Answer) -> AnsweredRows:
        found = json.loads(answer.body)
        data = {output["name"]: output["data"] for output in found["outputs"]}
        return _read_tensors(found, rows, data["label"], data["predict_proba"])

    return Question("/v2, JSON", path, content, read=read)


def infer_binary(random: Random) -> Question:
    """By the open protocol, in binary, both ways."""
    rows = draw(random, ROWS["/v2, binary"])
    binary = np.array(rows).tobytes()
    tensor = make_tensor(len(rows), parameters={"binary_data_size": len(binary)})
    outputs = [{"name": "predict_proba", "parameters": {"binary_data": True}}, {"name": "label"}]
    body, length = join_binary({"inputs": [tensor], "outputs": outputs}, binary)
    headers = {"content_type": "application/octet-stream", LENGTH: length}

    def read(answer: Answer) -> AnsweredRows:
        end = int(answer.headers[LENGTH])
        found = json.loads(answer.body[:end])
        labels = next(output["data"] for output in found["outputs"] if output["name"] == "label")
        return _read_tensors(found, rows, labels, np.frombuffer(answer.body[end:]).tolist())

    return Question("/v2, binary", INFER, write("POST", INFER, body, **headers), read=read)


def _read_tensors(
    found: dict[str, Any], rows: Rows, labels: list[str], flat: list[float]
) -> AnsweredRows:
    by_row = np.reshape(flat, (len(rows), len(CLASSES))).tolist()
    named = [dict(zip(CLASSES, row, strict=True)) for row in by_row]
    return AnsweredRows(found["model_version"], rows, labels, named)


def predict_v1(random: Random) -> Question:
    rows = draw(random, ROWS["/v1"])

    def read(answer: Answer) -> AnsweredRows:
        return AnsweredRows(None, rows, json.loads(answer.body)["predictions"], None)

    return Question("/v1", INFER_V1, write("POST", INFER_V1, {"instances": rows}), read=read)


def explain(random: Random) -> Question:
    [row] = draw(random, 1)
    path = random.choice(["/explain", "/explain?vary=petal_length"])

    def read(answer: Answer) -> AnsweredRows:
        found = json.loads(answer.body)
        label = found["prediction_class"]
        return AnsweredRows(found["model_version"], [row], [label], [{label: found["probability"]}])

    return Question("/explain", path, write("POST", path, describe(row)), read=read)


def look(random: Random) -> Question:
    """At figures, models and health."""
    others = ["/models", "/models/live", "/health/live", "/health/ready", "/v2/models/stats"]
    path = random.choice(["/monitoring"] * 3 + ["/metrics"] * 3 + others)
    kind = path if path in ("/monitoring", "/metrics") else "models and health"
    return Question(kind, path, write("GET", path), "GET")


_TENSOR = make_tensor(1, "FP65", data=[1, 2, 3, 4])
# What is wrong, and the one status that says so.
_WRONG: list[tuple[int, str, str, Any, dict[str, str]]] = [
    (400, "POST", "/predict", b'{"sepal_length": ', {}),
    (422, "POST", "/predict", {"sepal_length": 5.1}, {}),
    (422, "POST", "/predict", INSTANCE | {"petal_width": "0.2"}, {}),
    (422, "POST", "/predict", INSTANCE | {"petal_width": 1e308, "sepal": 1}, {}),
    (415, "POST", "/predict", INSTANCE, {"content_type": "text/plain"}),
    (413, "POST", "/predict", b" " * 200_000, {}),
    (404, "POST", "/predict?version=2020_01_01_T00_00_00", INSTANCE, {}),
    (405, "GET", "/predict", b"", {}),
    (404, "GET", "/predictions", b"", {}),
    (400, "POST", "/predict/batch", b"ARROW1", {"content_type": ARROW}),
    (422, "POST", "/predict/batch", b"sepal_length\n5.1\n", {"content_type": CSV}),
    (406, "POST", "/predict/batch", {"columns": {}}, {"accept": "image/png"}),
    (415, "POST", "/predict/batch", b"x", {"content_type": "text/html"}),
    (400, "POST", "/predict/batch", b"x", {"content_encoding": "gzip"}),
    (422, "POST", INFER, {"inputs": [_TENSOR]}, {}),
    (404, "POST", "/v2/models/rose/infer", {"inputs": [_TENSOR]}, {}),
    (400, "POST", INFER, b"[", {}),
    (422, "POST", INFER_V1, {"instances": [[1, 2]]}, {}),
    (422, "POST", "/explain?vary=colour", INSTANCE, {}),
    (422, "POST", "/feedback", {"prediction_id": "0" * 32}, {}),
    (404, "POST", "/feedback", {"prediction_id": "0" * 32, "label": "setosa"}, {}),
]


def ask_wrongly(random: Random) -> Question:
    status, method, path, body, headers = random.choice(_WRONG)
    kind = "wrong /feedback" if path == "/feedback" and status == 404 else "wrong input"
    return Question(kind, path, write(method, path, body, **headers), method, (status,))


def label(identifier: str, name: str) -> Question:
    """What a prediction should have been, which may be no class."""
    content = write("POST", "/feedback", {"prediction_id": identifier, "label": name})
    statuses = (200,) if name in CLASSES else (422,)
    return Question("/feedback", "/feedback", content, statuses=statuses)
