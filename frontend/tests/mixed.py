"""Publishes a model with every type of feature, without a training."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

Json = dict[str, Any]
VERSION = "2026_11_21_T20_44_20"
ISLANDS = ["Biscoe", "Dream", "Torgersen"]
CLASSES = ["no", "yes"]
ROWS = 100


def number(name: str, *, nullable: bool = False) -> Json:
    trained = {"min": 18, "max": 80, "mean": 45, "median": 44, "step": 1}
    return {"name": name, "type": "number", "unit": "a", "nullable": nullable} | trained


def boolean(name: str, *, nullable: bool = False) -> Json:
    return {"name": name, "type": "boolean", "mode": False, "nullable": nullable}


def category(name: str, values: list[str], *, nullable: bool = False) -> Json:
    mode = {"mode": values[-1] if len(values) < 3 else values[1], "nullable": nullable}
    return {"name": name, "type": "category", "values": values} | mode


FEATURES = [
    number("age", nullable=True),
    number("mass"),
    boolean("member", nullable=True),
    boolean("tagged"),
    category("island", ISLANDS, nullable=True),
    category("sex", ["female", "male"]),
]


def publish(
    directory: Path, features: list[Json], version: str = VERSION, classes: list[str] = CLASSES
) -> None:
    """A classifier of the first feature: two classes, or more of them in bands of its values."""
    random = np.random.default_rng(0)
    X = np.array([[_draw(feature, random) for feature in features] for _ in range(ROWS)], object)
    bands = X[:, 0].astype(float) > 44 if len(classes) == 2 else np.arange(ROWS) % len(classes)
    labels = np.array(classes)[bands.astype(int)]
    said = {"name": "penguins", "target": {"name": "old", "classes": sorted(classes)}}
    _write(directory, features, (X, labels), said | {"version": version, "mlflow": None})


def publish_iris(directory: Path, version: str = VERSION, C: float = 1.0) -> None:
    """Publish Iris with all that a training says of it, but without a training."""
    iris = load_iris()
    names = ("sepal_length", "sepal_width", "petal_length", "petal_width")
    features = [
        {"name": name, "type": "number", "unit": "cm", "step": 0.1, "nullable": False}
        | {"min": column.min(), "max": column.max(), "mean": column.mean()}
        | {"median": np.median(column)}
        for name, column in zip(names, iris.data.T, strict=True)
    ]
    labels = iris.target_names[iris.target].astype(object)
    said = {"name": "iris", "target": {"name": "species", "classes": list(iris.target_names)}}
    said |= {"version": version}
    said["mlflow"] = {"experiment": "iris", "run_id": "5" * 32, "model_version": "1"}
    _write(directory, features, (iris.data, labels), said, C)


def _write(
    directory: Path, features: list[Json], table: tuple[Any, Any], said: Json, C: float = 1.0
) -> None:
    """Write a model and its manifest; `said` is what the table does not tell."""
    X, labels = table
    model = _fit(X, labels, features, C)
    path = directory / f"model_{said['version']}.pkl"
    pickled = io.BytesIO()
    joblib.dump(model, pickled)
    content = pickled.getvalue()
    classes = said["target"]["classes"]
    manifest = said | {
        "format": 1,
        "created_at": "2026-11-21T20:44:20Z",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "signature": None,
        "features": [
            feature | {"histogram": _count(feature, column, labels, classes)}
            for feature, column in zip(features, X.T, strict=True)
        ],
        "estimator": "LogisticRegression",
        "params": {},
        "metrics": {"log_loss": {"mean": 0.1, "standard_error": 0.02}},
        "dataset": {"name": said["name"], "rows": len(X), "sha256": "5" * 64},
        "libraries": {},
        "republished_from": None,
        "examples": [_describe_example(row, features, model) for row in X[::50]],
    }
    path.with_suffix(".json").write_text(json.dumps(manifest))
    path.write_bytes(content)


def _draw(feature: Json, random: np.random.Generator) -> float | str:
    if feature["type"] == "category":
        return str(random.choice(feature["values"]))
    return float(random.integers(18, 81) if feature["type"] == "number" else random.integers(0, 2))


def _fit(X: Any, labels: Any, features: list[Json], C: float) -> Any:
    texts = [feature["type"] == "category" for feature in features]
    encode = OneHotEncoder(handle_unknown="ignore")
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), np.logical_not(texts)),
        (make_pipeline(SimpleImputer(strategy="most_frequent"), encode), texts),
    )
    return make_pipeline(columns, LogisticRegression(C=C)).fit(X, labels)


def _count(feature: Json, column: Any, labels: Any, classes: list[str]) -> Json:
    """As the trainer counts."""
    if feature["type"] == "number":
        edges = np.linspace(feature["min"], feature["max"], 21)
        counted = {"edges": edges.tolist()}
    else:
        values = feature.get("values", [0.0, 1.0])
        column, edges = np.array([*map(values.index, column)]), np.arange(len(values) + 1)
        counted = {}
    numbers = column.astype(float)
    counts = {name: np.histogram(numbers[labels == name], edges)[0].tolist() for name in classes}
    return counted | {"counts": counts, "missing": {}}


def _describe_example(row: Any, features: list[Json], estimator: Any) -> Json:
    inputs = {
        feature["name"]: bool(value) if feature["type"] == "boolean" else value
        for feature, value in zip(features, row, strict=True)
    }
    return {"inputs": inputs, "probabilities": estimator.predict_proba(row[None])[0].tolist()}
