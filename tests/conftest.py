"""What the tests of the whole stack share."""

import pytest
from browser import running_browser
from processes import published  # noqa: F401  # a fixture


def pytest_addoption(parser):
    parser.addoption("--screenshots", help="the folder to write the documentation's pictures to")


@pytest.fixture(scope="session")
def browser():
    with running_browser() as it:
        yield it


@pytest.fixture
def tab(browser):
    """A new page that keeps what went wrong in it and which hosts it asked, in `faults`."""
    page = browser.new_page(viewport={"width": 1000, "height": 900})
    page.faults = []
    page.on("console", lambda message: message.type == "error" and page.faults.append(message.text))
    page.on("request", lambda request: _is_local(request.url) or page.faults.append(request.url))
    yield page
    page.close()


def _is_local(url):
    return url.startswith(("http://localhost:", "http://127.0.0.1:", "data:", "blob:"))
