"""The page, run without a browser."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from mixed import FEATURES, publish
from processes import find_free_port, published, running_backend, wait_until  # noqa: F401
from streamlit.testing.v1 import AppTest

MAIN = Path(__file__).parents[1] / "main.py"

OpenPage = Callable[..., AppTest]


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> OpenPage:
    """Run a view of the page against the backend at an address."""

    def run(backend_url: str, view: str = "", **query: str) -> AppTest:
        monkeypatch.setenv("BACKEND_URL", backend_url)
        page = AppTest.from_file(MAIN, default_timeout=30)
        for name, value in query.items():
            page.query_params[name] = value
        page.run()
        return page.switch_page(f"views/{view}.py").run() if view else page

    return run


@pytest.fixture(scope="session")
def iris_url(published: SimpleNamespace) -> Iterator[str]:  # noqa: F811
    """A backend whose live model is that of Iris."""
    with running_backend(published.models_dir, find_free_port()) as url:
        wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
        yield url


@pytest.fixture(scope="session")
def mixed_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A backend whose live model has features of every type."""
    models_dir = tmp_path_factory.mktemp("mixed")
    publish(models_dir, FEATURES)
    with running_backend(models_dir, find_free_port()) as url:
        wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
        yield url
