"""The page, run without a browser."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from mixed import FEATURES, publish, publish_iris
from processes import find_free_port, running_backend, wait_until
from servers import running_relay
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

# AppTest looks for components among all installed packages, which takes longer than any view.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)
MAIN = Path(__file__).parents[1] / "main.py"

OpenPage = Callable[..., AppTest]


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> OpenPage:
    """Run a view of the page against the backend at an address."""

    def run(backend_url: str, view: str = "predict", **query: str) -> AppTest:
        monkeypatch.setenv("BACKEND_URL", backend_url)
        page = AppTest.from_file(MAIN, default_timeout=30)
        for name, value in query.items():
            page.query_params[name] = value
        if view != "predict":  # the default, which has no name in the address
            page.switch_page(f"views/{view}.py")
        return page.run()

    return run


@pytest.fixture(scope="session")
def iris_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A backend whose live model is that of Iris."""
    publish_iris(models_dir := tmp_path_factory.mktemp("iris"))
    with running_ready(models_dir) as url:
        yield url


@pytest.fixture(scope="session")
def mixed_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A backend whose live model has features of every type."""
    publish(models_dir := tmp_path_factory.mktemp("mixed"), FEATURES)
    with running_ready(models_dir) as url:
        yield url


@pytest.fixture
def relay(iris_url: str) -> Iterator[SimpleNamespace]:
    """Relay to a backend; `answers` replaces its answer to a path, or to all."""
    answers: dict[str, Any] = {}

    def answer(path: str) -> tuple[int, bytes] | None:
        own = answers.get("all") or answers.get(path.partition("?")[0])
        return (200, json.dumps(own).encode()) if isinstance(own, dict) else own

    with running_relay(iris_url, answer) as (url, asked):
        yield SimpleNamespace(url=url, answers=answers, asked=asked)


@contextmanager
def running_ready(models_dir: Path) -> Iterator[str]:
    """The address of a backend with a live model."""
    with running_backend(models_dir, find_free_port()) as url:
        wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
        yield url


def wait_until_live(url: str, version: str) -> None:
    ready = f"{url}/health/ready"
    wait_until(lambda: requests.get(ready, timeout=5).json().get("model_version") == version)
