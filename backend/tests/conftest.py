"""A real app on a real folder, with a small real model."""

import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import joblib
import numpy as np
import pytest
import requests
import warm
from fastapi.testclient import TestClient
from mixed import FEATURES, INSTANCE, fit_mixed
from processes import find_free_port, running, wait_until
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from journal import figures, recorder
from main import create_app
from schemas import Description
from serving import live
from serving.inference import Model
from serving.loading import open_model
from serving.manifests import Manifests
from settings import Settings
from worker.model_worker import ModelWorker
from worker.nursery import Nursery
from worker.opened_model import OpenedModel

NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
SETOSA = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
VERSION = "2026_11_21_T20_44_20"

_IRIS = load_iris()


def number(name: str, **changes: Any) -> dict[str, Any]:
    """A feature in centimeters with one bin."""
    histogram = {"edges": [0.1, 7.9], "counts": {"setosa": [50]}}
    described = {"min": 0.1, "max": 7.9, "mean": 3.0, "median": 3.5, "histogram": histogram}
    return {"name": name, "type": "number", "unit": "cm", "step": 0.1} | described | changes


def describe_column(name: str, column: Any) -> dict[str, Any]:
    """A feature as the trainer makes it, of 20 bins for each class."""
    edges = np.histogram_bin_edges(column, bins=20)
    columns = {it: column[_IRIS.target == index] for index, it in enumerate(_IRIS.target_names)}
    counts = {it: np.histogram(part, edges)[0].tolist() for it, part in columns.items()}
    median = float(np.median(column))
    described = {"min": column.min(), "max": column.max(), "mean": column.mean(), "median": median}
    return number(name, histogram={"edges": edges.tolist(), "counts": counts}, **described)


HISTOGRAMS = [describe_column(*it) for it in zip(NAMES, _IRIS.data.T, strict=True)]

# Passed to `publish`: a model of numbers, booleans and text.
MIXED = {"estimator": fit_mixed(), "instance": INSTANCE, "features": FEATURES}

# Passed to `publish`: a model whose drift can be seen.
DESCRIBED = {"features": HISTOGRAMS, "metrics": {"log_loss": {"mean": 0.1}}}

Publish = Callable[..., Path]


@cache
def fit(**params: Any) -> Pipeline:
    return fit_iris(make_pipeline(StandardScaler(), LogisticRegression(**params)))


def fit_iris(estimator: Any) -> Any:
    """Fit an estimator on the names of the classes."""
    return estimator.fit(_IRIS.data, _IRIS.target_names[_IRIS.target])


def describe(
    estimator: Any, content: bytes, version: str, instance: dict[str, Any] = SETOSA
) -> dict[str, Any]:
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
        "features": [number(name) for name in NAMES],
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


def pickled(value: Any, **options: Any) -> bytes:
    content = io.BytesIO()
    joblib.dump(value, content, **options)
    return content.getvalue()


def publish_in(
    folder: Path,
    name: str = VERSION,
    estimator: Any = None,
    instance: dict[str, Any] = SETOSA,
    **changes: Any,
) -> Path:
    """Write a model as the trainer does; keywords change its manifest."""
    estimator = estimator or fit()
    content = pickled(estimator)
    manifest = describe(estimator, content, name, instance) | changes
    (folder / f"model_{name}.json").write_text(json.dumps(manifest))
    hidden = folder / f".model_{name}.pkl"
    hidden.write_bytes(content)
    return hidden.rename(folder / f"model_{name}.pkl")


def drop(folder: Path, estimator: Any, version: str = VERSION) -> None:
    """Put a pickle there without a manifest, as another project does."""
    name = "model.pkl" if version == "model" else f"model_{version}.pkl"
    (folder / name).write_bytes(pickled(estimator))


def make_model(estimator: Any, **changes: Any) -> Model:
    """A model that was not published; keywords change its manifest."""
    target = {"name": "y", "classes": estimator.classes_.astype(str).tolist()}
    manifest = describe(fit(), b"", VERSION) | {"target": target, "examples": []} | changes
    description = Description.model_validate(manifest)
    return Model(description, cast(ModelWorker, OpenedModel(estimator, description)))


@pytest.fixture(scope="module")
def load_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Model]]:
    """Load such a model into processes of its own, without an app."""
    nursery = Nursery()

    def load(**model: Any) -> Model:
        settings = Settings(models_dir=tmp_path_factory.mktemp("models"))
        publish_in(settings.models_dir, **model)
        manifests = Manifests(settings)
        return open_model(manifests.find()[0], manifests, settings, nursery)

    yield load
    nursery.close()


@pytest.fixture(scope="session", autouse=True)
def soon() -> Iterator[None]:
    """Look at folders and journals more often than the defaults do, and start processes warm."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "POLL_SECONDS", 0.05)
        patch.setattr(figures, "FRESH_SECONDS", 0.1)
        patch.setattr(recorder, "DELIVER_SECONDS", 0.05)
        patch.setattr(recorder, "RETRY_SECONDS", 0.1)
        patch.setattr(recorder, "CLOSE_SECONDS", 0.5)
        patch.setattr(subprocess, "Popen", warm.Popen)
        yield


def run_app(folder: Path, **settings: Any) -> TestClient:
    read = Settings(models_dir=folder, **{"journal": "off"} | settings)
    client = TestClient(create_app(read), raise_server_exceptions=False)
    client.journal_url = read.journal_url  # for tests that read it
    return client


@contextmanager
def running_app(folder: Path, **settings: Any) -> Iterator[TestClient]:
    """An app whose newest model is live."""
    with run_app(folder, **settings) as client:
        wait_until_live(client)
        yield client


@contextmanager
def running_server(
    folder: Path, *, output: Any = None, **variables: Any
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address and the process of a real backend that is ready, as a user starts it."""
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "serve.py", "--port", str(port)]
    with running(command, "backend", output, MODELS_DIR=folder, **variables) as process:
        wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
        yield url, process


@pytest.fixture
def publish(tmp_path: Path) -> Publish:
    return partial(publish_in, tmp_path)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """Start an app on what the models folder holds by then."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(run_app(tmp_path, **settings))


@pytest.fixture
def start_live(publish: Publish, tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """Start an app and wait for its model; publish one of the irises if there is none."""
    with ExitStack() as stack:

        def enter(**settings: Any) -> TestClient:
            if not [*tmp_path.glob("model*.pkl")]:
                publish()
            return stack.enter_context(running_app(tmp_path, **settings))

        yield enter


@pytest.fixture
def live_client(start_live: Callable[..., TestClient]) -> TestClient:
    """As `client`, for one test that changes it."""
    return start_live()


@pytest.fixture
def start_journal(publish: Publish, start_live: Callable[..., TestClient], tmp_path: Path) -> Any:
    """Start an app with a live model and a journal, in SQLite unless a URL is given."""

    def enter(**settings: Any) -> TestClient:
        publish(**DESCRIBED)
        return start_live(**journal_in(tmp_path) | settings)

    return enter


@pytest.fixture
def empty_client(start: Callable[[], TestClient]) -> TestClient:
    """An app that has looked into its models folder, and found nothing."""
    client = start()
    wait_until(lambda: "No model is published" in client.get("/health/ready").text)
    return client


@pytest.fixture(scope="module")
def share_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., TestClient]]:
    """Start an app with such a model, which the tests of a module share, as they only ask."""
    with ExitStack() as stack:

        def enter(model: dict[str, Any], make_settings: Any = lambda _: {}) -> TestClient:
            folder = tmp_path_factory.mktemp("models")
            publish_in(folder, **model)
            return stack.enter_context(running_app(folder, **make_settings(folder)))

        yield enter


@pytest.fixture(scope="module")
def client(share_app: Callable[..., TestClient]) -> TestClient:
    return share_app({})


@pytest.fixture(scope="module")
def mixed_client(share_app: Callable[..., TestClient]) -> TestClient:
    return share_app(MIXED)


@pytest.fixture(scope="module")
def journal_client(share_app: Callable[..., TestClient]) -> TestClient:
    return share_app(DESCRIBED, journal_in)


def journal_in(folder: Path) -> dict[str, str]:
    """Settings of a journal in SQLite."""
    return {"journal": "on", "journal_url": f"sqlite:///{folder}/journal.db"}


def wait_until_live(client: TestClient, version: str = "") -> None:
    """Wait for any version, or for that one; say why if it does not come."""

    def ask() -> dict[str, Any]:
        return client.get("/health/ready").json()

    try:
        wait_until(lambda: (it := ask().get("model_version")) and it == (version or it))
    except AssertionError:
        pytest.fail(f"{version or 'No model'} did not go live: {ask()}")


def reason(client: TestClient) -> str:
    """Why the app is not ready, or nothing."""
    return client.get("/health/ready").json().get("detail") or ""
