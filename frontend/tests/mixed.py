"""Publishes a model with every type of feature, without a training."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

VERSION = "2026_11_21_T20_44_20"
ISLANDS = ["Biscoe", "Dream", "Torgersen"]
CLASSES = ["no", "yes"]
ROWS = 100


def number(name: str, *, nullable: bool = False) -> dict[str, Any]:
    trained = {"min": 18, "max": 80, "mean": 45, "median": 44, "step": 1}
    return {"name": name, "type": "number", "unit": "a", "nullable": nullable} | trained


def boolean(name: str, *, nullable: bool = False) -> dict[str, Any]:
    return {"name": name, "type": "boolean", "mode": False, "nullable": nullable}


def category(name: str, values: list[str], *, nullable: bool = False) -> dict[str, Any]:
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
    directory: Path,
    features: list[dict[str, Any]],
    version: str = VERSION,
    classes: list[str] = CLASSES,
) -> None:
    """A classifier of the first feature: two classes, or more of them in bands of its values."""
    X, labels = _draw(features, classes)
    table = {"name": "penguins", "target": {"name": "old", "classes": sorted(classes)}}
    model = _fit(X, labels, features)
    said = table | {"version": version, "mlflow": None, "examples": X[:2]}
    _write(directory, model, features, X, labels, **said)


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
    model = _fit(iris.data, labels, features, C)
    said = {"name": "iris", "target": {"name": "species", "classes": list(iris.target_names)}}
    said |= {"version": version, "examples": iris.data[::50]}
    said["mlflow"] = {"experiment": "iris", "run_id": "5" * 32, "model_version": "1"}
    _write(directory, model, features, iris.data, labels, **said)


def _write(
    directory: Path,
    estimator: Any,
    features: list[dict[str, Any]],
    X: Any,
    labels: Any,
    **said: Any,
) -> None:
    """Write a model and its manifest; `said` adds what the table does not tell."""
    pickled = io.BytesIO()
    joblib.dump(estimator, pickled)
    content = pickled.getvalue()
    classes = said["target"]["classes"]
    manifest = {
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
    }
    manifest |= said | {
        "examples": [_describe(row, features, estimator) for row in said["examples"]]
    }
    (directory / f"model_{said['version']}.json").write_text(json.dumps(manifest))
    (directory / f"model_{said['version']}.pkl").write_bytes(content)


def _draw(features: list[dict[str, Any]], classes: list[str]) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    X = np.array([[_draw_one(it, random) for it in features] for _ in range(ROWS)], object)
    first = X[:, 0].astype(float)
    bands = np.where(first > 44, 1, 0) if len(classes) == 2 else np.arange(ROWS) % len(classes)
    return X, np.array(classes)[bands]


def _draw_one(feature: dict[str, Any], random: np.random.Generator) -> float | str:
    if feature["type"] == "category":
        return str(random.choice(feature["values"]))
    return float(random.integers(18, 81) if feature["type"] == "number" else random.integers(0, 2))


def _fit(X: Any, labels: Any, features: list[dict[str, Any]], C: float = 1.0) -> Any:
    text = [index for index, feature in enumerate(features) if feature["type"] == "category"]
    numbers = [index for index in range(len(features)) if index not in text]
    encode = OneHotEncoder(handle_unknown="ignore")
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            ("text", make_pipeline(SimpleImputer(strategy="most_frequent"), encode), text),
        ]
    )
    return make_pipeline(columns, LogisticRegression(C=C)).fit(X, labels)


def _count(feature: dict[str, Any], column: Any, labels: Any, classes: list[str]) -> dict[str, Any]:
    """As the trainer counts."""
    by_class = {name: column[labels == name] for name in classes}
    if feature["type"] == "number":
        edges = np.linspace(feature["min"], feature["max"], 21)
        counts = {
            k: np.histogram(it.astype(float), edges)[0].tolist() for k, it in by_class.items()
        }
        return {"edges": edges.tolist(), "counts": counts, "missing": {}}
    values = feature.get("values", [0.0, 1.0])
    counts = {k: [int((it == value).sum()) for value in values] for k, it in by_class.items()}
    return {"counts": counts, "missing": {}}


def _describe(row: Any, features: list[dict[str, Any]], estimator: Any) -> dict[str, Any]:
    inputs = {
        it["name"]: bool(value) if it["type"] == "boolean" else value
        for it, value in zip(features, row, strict=True)
    }
    return {"inputs": inputs, "probabilities": estimator.predict_proba(row[None])[0].tolist()}
