"""A real app on a real folder, with a small real model."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from fastapi.testclient import TestClient
from mixed import FEATURES, INSTANCE, fit_mixed
from processes import wait_until
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from main import create_app
from settings import Settings

NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
SETOSA = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
VERSION = "2026_11_21_T20_44_20"

# As the trainer makes them, of 20 bins for each class.
_IRIS = load_iris()
HISTOGRAMS = [
    {
        "name": name,
        "type": "number",
        "unit": "cm",
        "min": column.min(),
        "max": column.max(),
        "mean": column.mean(),
        "median": float(np.median(column)),
        "step": 0.1,
        "histogram": {
            "edges": (edges := np.histogram_bin_edges(column, bins=20)).tolist(),
            "counts": {
                label: np.histogram(column[_IRIS.target == index], edges)[0].tolist()
                for index, label in enumerate(_IRIS.target_names)
            },
        },
    }
    for name, column in zip(NAMES, _IRIS.data.T, strict=True)
]

# What `publish` is told of a model of numbers, booleans and text.
MIXED = {"estimator": fit_mixed(), "instance": INSTANCE, "features": FEATURES}

Publish = Callable[..., Path]


def fit(**params: Any) -> Pipeline:
    X, y = load_iris(return_X_y=True)
    labels = load_iris().target_names[y]
    return make_pipeline(StandardScaler(), LogisticRegression(**params)).fit(X, labels)


def describe(
    estimator: Any, content: bytes, version: str, instance: dict[str, Any] = SETOSA
) -> dict[str, Any]:
    features = [
        {
            "name": name,
            "type": "number",
            "unit": "cm",
            "min": 0.1,
            "max": 7.9,
            "mean": 3.0,
            "median": 3.5,
            "step": 0.1,
            "histogram": {"edges": [0.1, 7.9], "counts": {"setosa": [50]}},
        }
        for name in NAMES
    ]
    row = [value if isinstance(value, str) else float(value) for value in instance.values()]
    examples = []
    if hasattr(estimator, "predict_proba"):
        [answer] = estimator.predict_proba(np.array([row], dtype=object)).tolist()
        examples = [{"inputs": instance, "probabilities": answer}]
    return {
        "format": 1,
        "name": "iris",
        "version": version,
        "created_at": "2026-11-21T20:44:20Z",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "signature": None,
        "features": features,
        "target": {"name": "species", "classes": estimator.classes_.tolist()},
        "estimator": "LogisticRegression",
        "params": {"C": 1.0},
        "metrics": {"log_loss": {"mean": 0.1, "std": 0.02}},
        "dataset": {"name": "iris", "rows": 150, "sha256": "0" * 64},
        "libraries": {"scikit-learn": "1.9.1"},
        "mlflow": None,
        "examples": examples,
        "republished_from": None,
    }


def publish_in(
    folder: Path,
    name: str = VERSION,
    estimator: Any = None,
    instance: dict[str, Any] = SETOSA,
    **changes: Any,
) -> Path:
    """Write a model as the trainer does; keywords change its manifest."""
    estimator = estimator or fit()
    pickled = io.BytesIO()
    joblib.dump(estimator, pickled)
    content = pickled.getvalue()
    manifest = describe(estimator, content, name, instance) | changes
    (folder / f"model_{name}.json").write_text(json.dumps(manifest))
    hidden = folder / f".model_{name}.pkl"
    hidden.write_bytes(content)
    return hidden.rename(folder / f"model_{name}.pkl")


def run_app(folder: Path, **settings: Any) -> TestClient:
    app = create_app(Settings(models_dir=folder, **{"journal": "off"} | settings))
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def publish(tmp_path: Path) -> Publish:
    return partial(publish_in, tmp_path)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """Start an app on what the models folder holds by then."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(run_app(tmp_path, **settings))


@pytest.fixture
def start_live(publish: Publish, start: Callable[..., TestClient]) -> Callable[..., TestClient]:
    """Start an app with a live model, for a test that changes it; keywords as in `publish`."""

    def enter(**published: Any) -> TestClient:
        publish(**published)
        client = start()
        wait_for_version(client, VERSION)
        return client

    return enter


@pytest.fixture
def start_journal(publish: Publish, start: Callable[..., TestClient], tmp_path: Path) -> Any:
    """Start an app with a live model and a journal, in SQLite unless a URL is given."""

    def enter(**settings: Any) -> TestClient:
        publish(features=HISTOGRAMS, metrics={"log_loss": {"mean": 0.1}})
        url = f"sqlite:///{tmp_path}/journal.db"
        client = start(**{"journal": "on", "journal_url": url} | settings)
        wait_for_version(client, VERSION)
        return client

    return enter


@pytest.fixture
def empty_client(start: Callable[[], TestClient]) -> TestClient:
    """An app whose models folder holds nothing yet."""
    return start()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """An app with a live model, which the tests of a module share, as they only ask."""
    folder = tmp_path_factory.mktemp("models")
    publish_in(folder)
    with run_app(folder) as client:
        wait_for_version(client, VERSION)
        yield client


@pytest.fixture(scope="module")
def mixed_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The same with a model of numbers, booleans and text."""
    folder = tmp_path_factory.mktemp("models")
    publish_in(folder, **MIXED)
    with run_app(folder) as client:
        wait_for_version(client, VERSION)
        yield client


def wait_for_version(client: TestClient, version: str) -> None:
    try:
        wait_until(lambda: client.get("/health/ready").json().get("model_version") == version)
    except AssertionError:
        pytest.fail(f"{version} did not go live: {client.get('/health/ready').text}")
