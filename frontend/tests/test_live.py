import pytest
import requests
from conftest import running_ready
from mixed import FEATURES, publish
from processes import wait_until

import texts

VIEWS = ["predict", "batch", "models", "monitoring"]
NO_MODEL = b'{"title": "No model published", "status": 503, "detail": "Train one."}'
NO_KEY = b'{"title": "Unauthorized", "status": 401, "detail": "Send a key."}'
AWAY = [
    (503, NO_MODEL, texts.BACKEND_NOT_READY(detail="Train one.")),
    (401, NO_KEY, texts.BACKEND_CLOSED()),
    (200, b"<html>Welcome</html>", texts.BACKEND_STRANGE()),
]
pytestmark = pytest.mark.parametrize("view", VIEWS)


def warned(page):
    return [element.value.replace("\\", "") for element in page.warning]


def test_a_backend_that_cannot_answer_is_one_sentence_and_comes_back(relay, open_page, view):
    page = None
    for status, body, sentence in AWAY:
        relay.answers["all"] = status, body
        page = page.run() if page else open_page(relay.url, view)
        assert not page.exception
        assert warned(page) == [sentence]

        relay.answers.clear()
        page.run()  # as the page does itself, every two seconds
        assert not page.exception
        assert not page.warning
        assert not page.toast
        assert page.title[0].value


def test_a_backend_whose_routes_alone_fail_is_one_sentence(relay, open_page, view):
    for path in ("/models", "/monitoring", "/predict", "/explain"):
        relay.answers[path] = 500, b'{"title": "Internal Server Error", "detail": "Our fault."}'

    page = open_page(relay.url, view)

    assert not page.exception
    assert len(page.warning) <= 1


def test_nothing_is_fetched_twice_in_a_run(relay, open_page, view):
    page = open_page(relay.url, view)
    relay.asked.clear()

    page.run()

    assert relay.asked
    assert len(relay.asked) == len(set(relay.asked))


def test_the_live_model_is_described(iris_url, open_page, view):
    page = open_page(iris_url, view)

    live = requests.get(f"{iris_url}/models/live", timeout=5).json()
    said = f"Live: {live['estimator']}, trained on 150 rows of iris · version {live['version']}"
    captions = [caption.value.replace("\\", "") for caption in page.caption]
    assert f"{said} · unsigned" in captions
    assert captions.count(texts.SIGNATURE_MEANINGS["unsigned"]()) == 1


def test_what_is_known_of_the_signature_is_said_and_may_change(relay, open_page, view):
    live = requests.get(f"{relay.url}/models/live", timeout=5).json()
    paths = f"/models/{live['version']}", "/models/live"
    page = None
    for signature in ("unchecked", "signed"):
        relay.answers |= dict.fromkeys(paths, live | {"signature": signature})
        page = page.run() if page else open_page(relay.url, view)

        captions = [caption.value.replace("\\", "") for caption in page.caption]
        assert any(caption.endswith(f" · {signature}") for caption in captions)
        assert texts.SIGNATURE_MEANINGS["unsigned"]() not in captions or view == "models"
        meant = texts.SIGNATURE_MEANINGS["unchecked"]() in captions
        assert meant == (signature == "unchecked")


@pytest.fixture(scope="module")
def spoilt_url(tmp_path_factory):
    """A backend whose live model has lost its file."""
    publish(folder := tmp_path_factory.mktemp("spoilt"), FEATURES)
    with running_ready(folder) as url:
        next(folder.glob("*.pkl")).write_bytes(b"spoilt")
        models = f"{url}/models"
        wait_until(lambda: requests.get(models).json()["models"][0]["state"] == "refused")
        yield url


def test_a_model_whose_file_is_spoilt_is_shown_for_as_long_as_it_answers(
    spoilt_url, open_page, view
):
    page = open_page(spoilt_url, view)

    assert not page.exception
    assert page.number_input or view != "predict"
