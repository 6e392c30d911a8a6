"""Measures the page as a person meets it: in a browser, on a model that training published.

From a click to the picture is from the button's own click to the frame in which class and bars are
those of the new answer, read off the drawing itself.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import requests
from load import read_memory
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from browser import running_browser
from processes import find_free_port, running, running_backend, train, wait_until

FIRST_PAGES = 7
PREDICTIONS = 30
SESSIONS = 10
CLASSES = ["setosa", "virginica"]  # in turn

FILLED = """label => {
  const petal = document.querySelector('input[aria-label^="Petal length"]');
  return petal && (label == 'setosa') == (Number(petal.value) < 2);
}"""

# Milliseconds from the click until the class is said and its bar, the blue one, is drawn.
UNTIL_PICTURE = """label => new Promise((resolve, reject) => {
  const button = [...document.querySelectorAll('button')].find(one => one.innerText == 'Predict');
  const started = performance.now();
  const look = () => {
    const said = document.querySelector('[data-testid=stMetricValue]')?.innerText.trim();
    const bar = document.querySelector('[data-testid=stVegaLiteChart] svg path[fill="#0077bb"]');
    const drawn = bar?.getAttribute('aria-label')?.includes(label);
    if (said == label && drawn) resolve(performance.now() - started);
    else if (performance.now() - started > 20000) reject(`${said} is no ${label}`);
    else requestAnimationFrame(look);
  };
  button.click();
  requestAnimationFrame(look);
})"""


@contextmanager
def running_page(backend_url: str) -> Iterator[tuple[str, int]]:
    """Its address and its process."""
    port = find_free_port()
    command = [sys.executable, "-m", "streamlit", "run", "main.py", "--server.port", str(port)]
    url = f"http://127.0.0.1:{port}"
    # env starts it cold: its memory is measured.
    with running(["env", *command], "frontend", BACKEND_URL=backend_url) as process:
        wait_until(lambda: requests.get(f"{url}/_stcore/health", timeout=5).ok)
        yield url, process.pid


class Looked(NamedTuple):
    """A person's first look, with nothing in the browser's cache; seconds from the address on."""

    tab: Page
    usable: float
    drawn: float


def open_page(browser: Browser, url: str) -> Looked:
    tab = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    started = time.perf_counter()
    tab.goto(url)
    tab.get_by_role("button", name="Predict", exact=True).wait_for()
    usable = time.perf_counter() - started
    tab.get_by_test_id("stVegaLiteChart").locator("svg").first.wait_for()
    return Looked(tab, usable, time.perf_counter() - started)


def visit(browser: Browser, url: str) -> Looked:
    """A first look that ends with it."""
    looked = open_page(browser, url)
    looked.tab.context.close()
    return looked


def measure_picture(tab: Page, label: str) -> float:
    """Milliseconds."""
    tab.bring_to_front()  # what is behind draws no frames
    tab.get_by_role("button", name=label, exact=True).click()
    tab.wait_for_function(FILLED, arg=label)
    tab.wait_for_timeout(300)  # until nothing else is going on
    elapsed: float = tab.evaluate(UNTIL_PICTURE, label)
    return elapsed


def say(name: str, values: list[float], unit: str, digits: int) -> None:
    ordered = sorted(values)
    middle, worst = statistics.median(ordered), ordered[-1]
    print(f"| {name} | {middle:,.{digits}f} {unit} | {worst:,.{digits}f} {unit} |")


def measure(backend_url: str) -> None:
    with running_browser() as browser, running_page(backend_url) as (url, pid):
        at_rest = read_memory(pid)
        first = open_page(browser, url)
        later = [visit(browser, url) for _ in range(FIRST_PAGES)]
        labels = [CLASSES[index % 2] for index in range(PREDICTIONS)]
        pictures = [measure_picture(first.tab, label) for label in labels]
        tabs = [open_page(browser, url).tab for _ in range(SESSIONS)]
        for tab in tabs:
            measure_picture(tab, "setosa")
        print("| | median | worst |\n| --- | ---: | ---: |")
        say("the page can be used, for the first who opens it", [first.usable], "s", 2)
        say("the page can be used", [look.usable for look in later], "s", 2)
        say("the page is drawn, its first charts too", [look.drawn for look in later], "s", 2)
        say("from a click to the picture", pictures, "ms", 0)
        print(
            f"\nMemory: {at_rest:.0f} MB before anyone comes, {read_memory(pid):.0f} MB with "
            f"{len(browser.contexts)} sessions open, of which {SESSIONS + 1} have predicted"
        )


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        models_dir = Path(folder) / "models"
        models_dir.mkdir()
        command = train(models_dir, Path(folder))
        assert command.returncode == 0, command.stderr
        with running_backend(models_dir) as url:
            measure(url)
