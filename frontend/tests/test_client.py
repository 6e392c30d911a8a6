import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product

import pytest
import urllib3

import client as module
import texts
from client import BackendAway, BackendClient, BackendError, NotOffered


@pytest.fixture
def answering():
    """A client of a server that answers every request with a given status and body."""
    servers = []

    def start(status, body, length=None, key="", wait=None):
        asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self)
                self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if wait:
                    wait.wait()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body) if length is None else length))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        client = BackendClient(f"http://127.0.0.1:{server.server_port}/", key)
        client.asked, client.url = asked, f"http://127.0.0.1:{server.server_port}"
        return client

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


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

    with pytest.raises(BackendError) as raised, client.score(io.BytesIO(b"a"), "text/csv"):
        pass

    assert raised.value.faults == [{"row": 2, "detail": "x."}]


def test_feedback_names_the_prediction_and_its_right_class(answering):
    client = answering(200, b'{"recorded": 1}')

    client.give_feedback("01H", "setosa")

    assert client.asked[0].path == "/feedback"
    assert json.loads(client.asked[0].body) == {"prediction_id": "01H", "label": "setosa"}


@pytest.mark.parametrize(("key", "sent"), [("secret", "secret"), ("", None)])
def test_a_key_is_sent_with_every_request(answering, key, sent):
    client = answering(200, b'{"models": []}', key=key)

    client.models()

    assert client.asked[0].headers["X-API-Key"] == sent
    assert "API_KEY" in texts.BACKEND_CLOSED()  # where a key is missing, the page says which


def test_the_key_of_the_environment_is_the_first_of_several(answering, monkeypatch):
    server = answering(200, b'{"models": []}')
    monkeypatch.setenv("BACKEND_URL", server.url)
    monkeypatch.setenv("API_KEY", "first, second")

    module.connect().models()

    assert server.asked[0].headers["X-API-Key"] == "first"


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


@pytest.mark.parametrize("call", [BackendClient.models, lambda it: it.predict({})])
def test_a_backend_that_never_answers_is_not_waited_for_nor_asked_again(
    answering, monkeypatch, call
):
    for limit in ("LOOK_SECONDS", "PREDICT_SECONDS"):
        monkeypatch.setattr(module, limit, 0.2)
    silence = threading.Event()
    client = answering(200, b"{}", wait=silence)

    with pytest.raises(BackendAway) as raised:
        call(client)

    silence.set()
    assert raised.value.detail == texts.BACKEND_AWAY()
    assert len(client.asked) == 1


def test_a_table_that_breaks_off_is_said_to_have(answering):
    client = answering(200, b"half of an Arrow stream", length=1000)

    with (
        pytest.raises(BackendAway) as raised,
        client.score(io.BytesIO(b"a"), "text/csv") as reader,
    ):
        list(reader)

    assert raised.value.detail == texts.BACKEND_BROKE_OFF()


def test_a_proxy_in_the_environment_is_not_asked(answering, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    client = answering(200, b'{"models": []}')

    assert client.models() == []
