import json
import threading

import pytest
import requests
from mixed import FEATURES, number, publish
from processes import find_free_port, running_backend, wait_until
from servers import running_relay

import client
import texts

VIEWS = ["", "batch", "models", "monitoring"]
NO_MODEL = b'{"title": "No model published", "status": 503, "detail": "Train one."}'
NO_KEY = b'{"title": "Unauthorized", "status": 401, "detail": "Send a key."}'
AWAY = {
    "unavailable": (503, NO_MODEL, texts.BACKEND_NOT_READY(detail="Train one.")),
    "closed": (401, NO_KEY, texts.BACKEND_CLOSED()),
    "bad gateway": (502, b"<html>Bad gateway</html>", texts.BACKEND_STRANGE()),
    "something else": (200, b"<html>Welcome</html>", texts.BACKEND_STRANGE()),
}


@pytest.fixture
def relayed(iris_url):
    """A way to the backend on which a test may put answers of its own: to all, or to a path."""
    answers = {}

    def find(path):
        return answers.get("all") or answers.get(path.partition("?")[0])

    with running_relay(iris_url, find) as (url, asked):
        yield url, answers, asked


def warned(page):
    return [element.value.replace("\\", "") for element in page.warning]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("kind", AWAY)
def test_a_backend_that_cannot_answer_is_one_sentence_and_comes_back(
    relayed, open_page, view, kind
):
    url, answers, _ = relayed
    status, body, sentence = AWAY[kind]
    answers["all"] = status, body
    page = open_page(url, view)
    assert not page.exception
    assert warned(page) == [sentence]

    answers.clear()
    page.run()  # as the page does itself, every two seconds

    assert not page.exception
    assert not page.warning
    assert page.title[0].value


@pytest.mark.parametrize("view", VIEWS)
def test_a_backend_that_fails_midway_is_one_sentence(relayed, open_page, view):
    url, answers, _ = relayed
    page = open_page(url, view)
    answers["all"] = AWAY["unavailable"][:2]

    page.run()

    assert not page.exception
    assert warned(page) == [AWAY["unavailable"][2]]


@pytest.mark.parametrize("view", VIEWS)
def test_a_backend_whose_routes_alone_fail_is_one_sentence(relayed, open_page, view):
    url, answers, _ = relayed
    for path in ("/models", "/monitoring", "/predict", "/explain"):
        answers[path] = 500, b'{"title": "Internal Server Error", "detail": "Our fault."}'

    page = open_page(url, view)

    assert not page.exception
    assert len(page.warning) <= 1


def test_a_backend_that_is_slow_is_not_waited_for(open_page, monkeypatch):
    monkeypatch.setattr(client, "LOOK_SECONDS", 0.2)
    silence = threading.Event()

    def wait(_):
        silence.wait(30)
        return 200, b"{}"

    with running_relay("http://127.0.0.1:9", wait) as (url, _):
        page = open_page(url)
        silence.set()

    assert not page.exception
    assert warned(page) == [texts.BACKEND_AWAY()]


def test_a_model_whose_file_is_spoilt_is_shown_for_as_long_as_it_answers(open_page, tmp_path):
    publish(tmp_path, FEATURES)
    with running_backend(tmp_path, find_free_port()) as url:
        wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
        next(tmp_path.glob("*.pkl")).write_bytes(b"spoilt")
        listed = f"{url}/models"
        wait_until(
            lambda: requests.get(listed, timeout=5).json()["models"][0]["state"] == "refused"
        )
        pages = [open_page(url, view) for view in VIEWS]

    assert not [page.exception for page in pages if page.exception]
    assert pages[0].number_input


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_fetched_twice_in_a_run(relayed, open_page, view):
    url, _, asked = relayed
    page = open_page(url, view)
    asked.clear()

    page.run()

    assert asked
    assert len(asked) == len(set(asked))


def test_the_manifest_is_fetched_once_for_all_sessions(relayed, open_page):
    url, _, asked = relayed
    open_page(url)
    open_page(url)

    assert len([it for it in asked if it.startswith("GET /models/")]) == 1


def test_the_live_model_is_described(iris_url, open_page):
    page = open_page(iris_url)

    live = requests.get(f"{iris_url}/models/live", timeout=5).json()
    said = f"Live: {live['estimator']}, trained on 150 rows of iris · version {live['version']}"
    assert said in [it.value.replace("\\", "") for it in page.caption]


def test_a_backend_that_comes_back_with_the_same_model_says_nothing_of_a_new_one(
    open_page, tmp_path
):
    publish(tmp_path, [number("age")])
    port = find_free_port()
    with running_backend(tmp_path, port) as url:
        wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
        page = open_page(url)
    page.run()
    assert page.warning

    with running_backend(tmp_path, port) as url:
        wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
        page.run()

    assert not page.warning
    assert not page.toast


def test_what_the_backend_offers_is_read_once_for_each_model(relayed, open_page):
    url, answers, asked = relayed
    answers["/openapi.json"] = 200, json.dumps({"paths": {}}).encode()
    page = open_page(url)
    [button] = [it for it in page.button if it.label == "Predict"]
    button.click().run()
    page.run()

    assert asked.count("GET /openapi.json") == 1
