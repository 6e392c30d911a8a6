"""What the tests of the whole stack share."""

from types import SimpleNamespace

import pytest
from browser import running_browser
from made_tables import TARGET
from playwright.sync_api import expect
from processes import (
    make_once,  # noqa: F401  # a fixture
    published,  # noqa: F401  # as above
    running_backend,
    train,
)

expect.set_options(timeout=20_000)  # a machine may have other things to do

DESKTOP = {"width": 1280, "height": 900}


def pytest_addoption(parser):
    parser.addoption(
        "--screenshots", help="a folder for the documentation's pictures; needs -m soak"
    )


@pytest.fixture(scope="session")
def train_on(make_once):  # noqa: F811  # the same fixture
    """Train on one of the made tables, once for all tests: its file and its models."""

    def train_once(make):
        def train_there(folder):
            models_dir, table = folder / "models", make(folder)
            models_dir.mkdir()
            options = ("--data", table, "--target", TARGET, "--only", "GaussianNB")
            command = train(models_dir, folder, *options)
            assert command.returncode == 0, command.stderr
            return SimpleNamespace(table=table, models_dir=models_dir)

        return make_once(make.__name__, train_there)

    return train_once


@pytest.fixture(scope="session")
def served(published, tmp_path_factory):  # noqa: F811  # the same fixture
    """The address of a backend of the published model, for tests that only ask."""
    journal = f"sqlite:///{tmp_path_factory.mktemp('journal')}/journal.db"
    settings = {"JOURNAL": "on", "JOURNAL_URL": journal}
    with running_backend(published.models_dir, **settings) as url:
        yield url


@pytest.fixture(scope="session")
def browser():
    with running_browser() as it:
        yield it


@pytest.fixture(scope="session")
def open_context(browser):
    """Open a context once for each kind of visitor, as each loads the page's scripts again."""
    kinds = {}

    def open_one(**options):
        kind = repr(options)
        kinds[kind] = kinds.get(kind) or browser.new_context(**options)
        return kinds[kind]

    return open_one


@pytest.fixture
def open_tab(open_context):
    """Opens pages that keep what went wrong in them and which hosts they asked, in `faults`."""
    pages = []

    def open_one(**options):
        page = open_context(**{"viewport": DESKTOP, "locale": "en-US"} | options).new_page()
        pages.append(page)
        page.faults = []
        note = page.faults.append
        page.on("console", lambda message: message.type == "error" and note(message.text))
        page.on("dialog", lambda dialog: note(dialog.message))
        page.on("request", lambda request: _is_local(request.url) or note(request.url))
        return page

    yield open_one
    for page in pages:
        page.context.clear_cookies()
        page.close()


@pytest.fixture
def tab(open_tab):
    return open_tab()


def _is_local(url):
    return url.startswith(("http://localhost:", "http://127.0.0.1:", "data:", "blob:"))
