import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import urllib3

import client as module
import texts
from client import BackendAway, BackendClient, BackendError, NotOffered

PROBLEM = b'{"title": "Invalid instance", "status": 422, "detail": "petal_width is missing."}'


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


def test_a_refusal_carries_the_backends_sentence(answering):
    client = answering(422, PROBLEM)

    with pytest.raises(BackendError) as raised:
        client.predict({})

    assert raised.value.detail == "petal_width is missing."
    assert not isinstance(raised.value, BackendAway)


def test_a_refusal_names_the_faults_of_a_table(answering):
    client = answering(422, b'{"detail": "Row 2: x.", "errors": [{"row": 2, "detail": "x."}]}')

    with pytest.raises(BackendError) as raised, client.score(io.BytesIO(b"a"), "text/csv"):
        pass

    assert raised.value.faults == [{"row": 2, "detail": "x."}]


def test_an_unavailable_backend_is_worth_asking_again(answering):
    client = answering(503, b'{"detail": "No model is published yet."}')

    with pytest.raises(BackendAway) as raised:
        client.predict({})

    assert "No model is published yet." in raised.value.detail


def test_feedback_names_the_prediction_and_its_right_class(answering):
    client = answering(200, b'{"recorded": 1}')

    client.give_feedback("01H", "setosa")

    assert client.asked[0].path == "/feedback"
    assert json.loads(client.asked[0].body) == {"prediction_id": "01H", "label": "setosa"}


@pytest.mark.parametrize("status", [401, 403])
def test_a_backend_that_wants_a_key_says_which_to_set(answering, status):
    client = answering(status, b'{"detail": "Send a key."}')

    with pytest.raises(BackendAway) as raised:
        client.models()

    assert "API_KEY" in raised.value.detail


def test_a_key_is_sent_with_every_request(answering):
    client = answering(200, b'{"models": []}', key="secret")

    client.models()

    assert client.asked[0].headers["X-API-Key"] == "secret"


def test_the_key_of_the_environment_is_the_first_of_several(answering, monkeypatch):
    server = answering(200, b'{"models": []}')
    monkeypatch.setenv("BACKEND_URL", server.url)
    monkeypatch.setenv("API_KEY", "first, second")

    module.connect().models()

    assert server.asked[0].headers["X-API-Key"] == "first"


def test_without_a_key_none_is_sent(answering):
    client = answering(200, b'{"models": []}')

    client.models()

    assert client.asked[0].headers["X-API-Key"] is None


def test_what_is_not_there_is_told_apart(answering):
    client = answering(404, b'{"detail": "There is nothing at /monitoring."}')

    with pytest.raises(NotOffered):
        client.monitoring()


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"[]", b"", b"{}"])
@pytest.mark.parametrize("status", [502, 503, 500])
def test_an_answer_of_something_else_is_no_traceback(answering, status, body):
    with pytest.raises(BackendAway) as raised:
        answering(status, body).predict({})

    assert raised.value.detail == texts.BACKEND_STRANGE()


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"[]", b""])
def test_a_success_of_something_else_is_none(answering, body):
    with pytest.raises(BackendAway) as raised:
        answering(200, body).predict({})

    assert raised.value.detail == texts.BACKEND_STRANGE()


def test_nobody_there_is_worth_asking_again():
    client = BackendClient("http://127.0.0.1:9")

    with pytest.raises(BackendAway) as raised:
        client.predict({})

    assert raised.value.detail == texts.BACKEND_AWAY()


def test_a_connection_that_does_not_come_about_is_tried_once_more(monkeypatch):
    attempts = []
    connect = urllib3.util.connection.create_connection

    def note(*arguments, **options):
        attempts.append(arguments)
        return connect(*arguments, **options)

    monkeypatch.setattr(urllib3.util.connection, "create_connection", note)
    with pytest.raises(BackendAway):
        BackendClient("http://127.0.0.1:9").predict({})

    assert len(attempts) == 2


def test_what_may_have_been_done_is_not_asked_again(answering, monkeypatch):
    monkeypatch.setattr(module, "PREDICT_SECONDS", 0.2)
    silence = threading.Event()
    client = answering(200, b"{}", wait=silence)

    with pytest.raises(BackendAway):
        client.predict({})

    silence.set()
    assert len(client.asked) == 1


def test_a_backend_that_never_answers_is_not_waited_for(answering, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.2)
    silence = threading.Event()
    client = answering(200, b"{}", wait=silence)

    with pytest.raises(BackendAway) as raised:
        client.models()

    silence.set()
    assert raised.value.detail == texts.BACKEND_AWAY()


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
