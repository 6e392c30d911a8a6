"""The page, run without a browser."""

from collections.abc import Callable

import pytest
from processes import published  # noqa: F401  # a fixture
from streamlit.testing.v1 import AppTest


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], AppTest]:
    """Run the page against the backend at an address."""

    def run(backend_url: str) -> AppTest:
        monkeypatch.setenv("BACKEND_URL", backend_url)
        return AppTest.from_file("../main.py", default_timeout=30).run()

    return run
