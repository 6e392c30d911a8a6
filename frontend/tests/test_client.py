import io
import json
import threading
from contextlib import ExitStack
from itertools import product

import pytest
import urllib3
from servers import running_app
from werkzeug import Response

import client as module
import texts
from client import BackendAway, BackendClient, BackendError, NotOffered


@pytest.fixture
def answering():
    """A client of a server that answers every request with a given status and body."""
    with ExitStack() as stack:

        def start(status, body, length=None):
            asked = []

            def answer(request):
                asked.append(request)
                return Response([body], status, {"Content-Length": length or len(body)})

            url = stack.enter_context(running_app(answer))
            client = BackendClient(f"{url}/")
            client.url, client.asked = url, asked
            return client

        yield start


REFUSALS = [
    (422, "petal_width is missing.", BackendError, "petal_width is missing."),
    (404, "Nothing is here.", NotOffered, "Nothing is here."),
    (503, "Wait.", BackendAway, texts.BACKEND_NOT_READY(detail="Wait.")),
    (401, "Send a key.", BackendAway, texts.BACKEND_CLOSED()),
    (403, "Send a key.", BackendAway, texts.BACKEND_CLOSED()),
]


@pytest.mark.parametrize(("status", "detail", "kind", "said"), REFUSALS)
def test_a_refusal_says_why_and_whether_to_ask_again(answering, status, detail, kind, said):
    client = answering(status, json.dumps({"title": "No", "detail": detail}).encode())

    with pytest.raises(BackendError) as raised:
        client.predict({})

    assert type(raised.value) is kind
    assert raised.value.detail == said


def test_a_refusal_names_the_faults_of_a_table(answering):
    client = answering(422, b'{"detail": "Row 2: x.", "errors": [{"row": 2, "detail": "x."}]}')

    with pytest.raises(BackendError) as raised, client.predict_batch(io.BytesIO(b"a"), "text/csv"):
        pass

    assert raised.value.faults == [{"row": 2, "detail": "x."}]


def test_feedback_names_the_prediction_and_its_right_class(answering):
    client = answering(200, b'{"recorded": 1}')

    client.give_feedback("01H", "setosa")

    assert client.asked[0].path == "/feedback"
    assert client.asked[0].json == {"prediction_id": "01H", "label": "setosa"}


@pytest.mark.parametrize(("keys", "sent"), [("first, second", "first"), ("", None)])
def test_the_first_key_of_the_environment_is_sent(answering, monkeypatch, keys, sent):
    server = answering(200, b'{"models": []}')
    monkeypatch.setenv("BACKEND_URL", server.url)
    monkeypatch.setenv("API_KEY", keys)

    module.connect().models()

    assert server.asked[0].headers.get("X-API-Key") == sent
    assert "API_KEY" in texts.BACKEND_CLOSED()  # where a key is missing, the page says which


BODIES = [b"<html>Bad gateway</html>", b"[]", b"", b"{}"]
STRANGE = [*product((500, 502, 503), BODIES), *product([200], BODIES[:3])]


@pytest.mark.parametrize(("status", "body"), STRANGE)
def test_an_answer_of_something_else_is_no_traceback(answering, status, body):
    with pytest.raises(BackendAway) as raised:
        answering(status, body).predict({})

    assert raised.value.detail == texts.BACKEND_STRANGE()


def test_a_connection_that_does_not_come_about_is_tried_once_more(monkeypatch):
    attempts = []
    connect = urllib3.util.connection.create_connection

    def note(*arguments, **options):
        attempts.append(arguments)
        return connect(*arguments, **options)

    monkeypatch.setattr(urllib3.util.connection, "create_connection", note)
    with pytest.raises(BackendAway) as raised:
        BackendClient("http://127.0.0.1:9").predict({})

    assert raised.value.detail == texts.BACKEND_AWAY()
    assert len(attempts) == 2


@pytest.mark.parametrize("call", [BackendClient.models, lambda client: client.predict({})])
def test_a_backend_that_never_answers_is_not_waited_for_nor_asked_again(monkeypatch, call):
    for limit in ("LOOK_SECONDS", "PREDICT_SECONDS"):
        monkeypatch.setattr(module, limit, 0.2)
    silence, asked = threading.Event(), []

    def wait(request):
        asked.append(request)
        silence.wait()
        return Response()

    with running_app(wait) as url, pytest.raises(BackendAway) as raised:
        call(BackendClient(url))

    silence.set()
    assert raised.value.detail == texts.BACKEND_AWAY()
    assert len(asked) == 1


def test_a_table_that_breaks_off_is_said_to_have(answering):
    client = answering(200, b"half of an Arrow stream", length=1000)

    with (
        pytest.raises(BackendAway) as raised,
        client.predict_batch(io.BytesIO(b"a"), "text/csv") as reader,
    ):
        list(reader)

    assert raised.value.detail == texts.BACKEND_BROKE_OFF()


def test_a_proxy_in_the_environment_is_not_asked(answering, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    client = answering(200, b'{"models": []}')

    assert client.models() == []
