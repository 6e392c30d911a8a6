"""Publishes a model with every type of feature, without a training."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

VERSION = "2026_11_21_T20_44_20"
ISLANDS = ["Biscoe", "Dream", "Torgersen"]
COUNTS = {"histogram": {"counts": {}, "missing": {}}}


def number(name: str, *, nullable: bool = False) -> dict[str, Any]:
    trained = {"min": 18, "max": 80, "mean": 45, "median": 44, "step": 1}
    histogram = {"edges": [18, 80], "counts": {}, "missing": {}}
    unit = {"unit": "a", "nullable": nullable, "histogram": histogram}
    return {"name": name, "type": "number"} | unit | trained


def boolean(name: str, *, nullable: bool = False) -> dict[str, Any]:
    return {"name": name, "type": "boolean", "mode": False, "nullable": nullable} | COUNTS


def category(name: str, values: list[str], *, nullable: bool = False) -> dict[str, Any]:
    mode = {"mode": values[1], "nullable": nullable}
    return {"name": name, "type": "category", "values": values} | mode | COUNTS


FEATURES = [
    number("age", nullable=True),
    number("mass"),
    boolean("member", nullable=True),
    boolean("tagged"),
    category("island", ISLANDS, nullable=True),
    category("sex", ["female", "male"]),
]


def publish(directory: Path, features: list[dict[str, Any]], version: str = VERSION) -> None:
    """A classifier of whether the first feature is above 44."""
    pickled = io.BytesIO()
    joblib.dump(_fit(features), pickled)
    content = pickled.getvalue()
    manifest = {
        "format": 1,
        "name": "penguins",
        "version": version,
        "created_at": "2026-11-21T20:44:20Z",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "signature": None,
        "features": features,
        "target": {"name": "old", "classes": ["no", "yes"]},
        "estimator": "LogisticRegression",
        "params": {},
        "metrics": {"log_loss": {"mean": 0.1, "standard_error": 0.02}},
        "dataset": {"name": "penguins", "rows": 100, "sha256": ""},
        "libraries": {},
        "mlflow": None,
        "examples": [],
        "republished_from": None,
    }
    (directory / f"model_{version}.json").write_text(json.dumps(manifest))
    (directory / f"model_{version}.pkl").write_bytes(content)


def _fit(features: list[dict[str, Any]]) -> Any:
    random = np.random.default_rng(0)
    X = np.array([[_draw(feature, random) for feature in features] for _ in range(100)], object)
    text = [index for index, feature in enumerate(features) if feature["type"] == "category"]
    numbers = [index for index in range(len(features)) if index not in text]
    encode = OneHotEncoder(handle_unknown="ignore")
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            ("text", make_pipeline(SimpleImputer(strategy="most_frequent"), encode), text),
        ]
    )
    labels = np.where(X[:, 0].astype(float) > 44, "yes", "no")
    return make_pipeline(columns, LogisticRegression()).fit(X, labels)


def _draw(feature: dict[str, Any], random: np.random.Generator) -> float | str:
    if feature["type"] == "category":
        return str(random.choice(feature["values"]))
    return float(random.integers(18, 81) if feature["type"] == "number" else random.integers(0, 2))
