"""Fits models of Iris and publishes them as the trainer does."""

import hashlib
import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import joblib
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from processes import INSTANCE

NAMES = list(INSTANCE)
ESTIMATORS: dict[str, Any] = {
    "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    "forest of 200": RandomForestClassifier(200, random_state=0),
}


def fit(name: str) -> Any:
    iris = load_iris()
    return ESTIMATORS[name].fit(iris.data, iris.target_names[iris.target])


def dump(estimator: Any) -> bytes:
    dumped = io.BytesIO()
    joblib.dump(estimator, dumped)
    return dumped.getvalue()


def publish(
    pickled: bytes, directory: Path, moment: datetime | None = None, **changes: object
) -> str:
    """The manifest first, then the pickle, both by rename; return the version.

    Keywords change the manifest.
    """
    moment = moment or datetime.now(UTC)
    version = f"{moment:%Y_%m_%d_T%H_%M_%S}"
    created = {"version": version, "created_at": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}
    manifest = json.dumps(_describe_model(pickled) | created | changes)
    for suffix, content in (("json", manifest.encode()), ("pkl", pickled)):
        hidden = directory / f".{version}"
        hidden.write_bytes(content)
        hidden.rename(directory / f"model_{version}.{suffix}")
    return version


def _describe_model(pickled: bytes) -> dict[str, Any]:
    X = load_iris().data
    histogram = {"edges": [0, 8], "counts": {}}
    number = {"type": "number", "unit": "cm", "mean": 3, "median": 3, "step": 0.1}
    features = [
        number | {"name": name, "min": low, "max": high, "histogram": histogram}
        for name, low, high in zip(NAMES, X.min(axis=0), X.max(axis=0), strict=True)
    ]
    return {
        "format": 1, "name": "iris", "signature": None, "estimator": "", "params": {},
        "metrics": {"log_loss": {"mean": 0.1}}, "features": features, "libraries": {},
        "mlflow": None, "examples": [],
        "target": {"name": "species", "classes": load_iris().target_names.tolist()},
        "dataset": {"name": "iris", "rows": 150, "sha256": ""}, "republished_from": None,
        "sha256": hashlib.sha256(pickled).hexdigest(), "size": len(pickled),
    }  # fmt: skip
