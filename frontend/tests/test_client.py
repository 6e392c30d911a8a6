import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

import texts
from client import BackendAway, BackendClient, BackendError


@pytest.fixture
def answering():
    """A client of a server that answers every request with a given status and body."""
    servers = []

    def start(status, body):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return BackendClient(f"http://127.0.0.1:{server.server_port}/")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_refusal_carries_the_backends_sentence(answering):
    client = answering(422, b'{"detail": "petal_width is missing."}')

    with pytest.raises(BackendError, match="petal_width is missing") as raised:
        client.predict({})
    assert not isinstance(raised.value, BackendAway)


def test_an_unavailable_backend_is_worth_asking_again(answering):
    client = answering(503, b'{"detail": "No model is published yet."}')

    with pytest.raises(BackendAway, match="No model is published yet"):
        client.predict({})


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"[]", b""])
@pytest.mark.parametrize("status", [200, 502, 503])
def test_an_answer_of_something_else_is_no_traceback(answering, status, body):
    with pytest.raises(BackendAway, match=texts.BACKEND_STRANGE):
        answering(status, body).predict({})


def test_nobody_there_is_worth_asking_again():
    client = BackendClient("http://127.0.0.1:9")

    with pytest.raises(BackendAway, match="does not answer"):
        client.predict({})
