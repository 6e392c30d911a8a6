import asyncio
import json
import select
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from http.client import HTTPResponse
from pathlib import Path

import pytest
import uvicorn
from processes import wait_until

import connections
import security
from connections import HEADERS, MOST_AHEAD, Connection, Limit, swept

SECONDS, RATE = 0.3, 500
POST = b"POST /predict HTTP/1.1\r\nHost: x\r\n"
DECLARED = POST + b"Content-Length: 1000000\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LOOKS = 15  # SECONDS take ten


class Server:
    """A real one, in a thread, that loses patience soon."""

    def __init__(self, loop):
        self._looked = looked = threading.Event()

        class Impatient(Connection):
            header_limit = Limit(SECONDS)
            body_limit = Limit(SECONDS, RATE)
            stalled_limit = Limit(SECONDS, RATE)
            sweep_seconds = SECONDS / 10
            looks = 0

            def look(self):
                type(self).looks += 1
                looked.set()
                super().look()

        self.protocol = Impatient
        settings = {"port": 0, "loop": loop, "http": Impatient, "lifespan": "off"}
        settings |= {"interface": "asgi3", "log_config": None, "timeout_graceful_shutdown": 5}
        self.config = uvicorn.Config(self._call, **settings)
        self._uvicorn = uvicorn.Server(self.config)

    async def _call(self, scope, receive, send):
        await self.app(scope, receive, send)

    @contextmanager
    def running(self):
        thread = threading.Thread(target=self._uvicorn.run, daemon=True)
        thread.start()
        wait_until(lambda: self._uvicorn.started)
        try:
            yield self
        finally:
            self._uvicorn.should_exit = True
            thread.join(20)

    @property
    def connections(self):
        return self._uvicorn.server_state.connections

    @contextmanager
    def connect(self, *sent, buffer=None):
        address = self._uvicorn.servers[0].sockets[0].getsockname()
        with socket.socket() as connection:
            connection.settimeout(20)
            if buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            connection.connect(address)
            for data in sent:
                connection.sendall(data)
            yield connection

    def wait_for_looks(self, looks=LOOKS):
        until = self.protocol.looks + looks
        while self.protocol.looks < until:
            assert self._looked.wait(20), "nobody looked"
            self._looked.clear()


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(request):
    with Server(request.param).running() as it:
        yield it


@pytest.fixture
def serve(server, monkeypatch):
    """Have the server answer by an app, for one test."""

    def start(app, keep_alive=75, **limits):
        monkeypatch.setattr(server, "app", app, raising=False)
        monkeypatch.setattr(server.config, "timeout_keep_alive", keep_alive)
        for name, limit in limits.items():
            monkeypatch.setattr(server.protocol, name, limit)
        return server

    yield start
    wait_until(lambda: not server.connections)


async def answer(_, receive, send):
    """Answer how many bytes the body had, once all have come."""
    size = 0
    while (message := await receive())["type"] == "http.request":
        size += len(message["body"])
        if not message["more_body"]:
            await answering(str(size).encode())(_, receive, send)
            return


def answering(content):
    """An app that answers at once, whatever it is asked."""
    headers = [(b"content-length", str(len(content)).encode())]

    async def app(_, __, send):
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return app


answer_at_once = answering(b"")


def answer_after(event, before=answer, is_asked=False):
    """Wait for an event first; once asked for the body, the server reads more."""

    async def app(scope, receive, send):
        if is_asked:
            await receive()
        await asyncio.to_thread(event.wait, 10)
        await before(scope, receive, send)

    return app


def read(connection):
    response = HTTPResponse(connection)
    response.begin()
    return response, response.read()


def read_refusal(connection, status=408):
    """The problem document, if it is a whole answer and the last one."""
    response, content = read(connection)
    assert response.status == status
    assert {(name, response.headers[name.decode()].encode()) for name, _ in HEADERS} == {*HEADERS}
    assert response.headers["Connection"] == "close"
    assert response.headers["Content-Type"] == "application/problem+json"
    assert connection.recv(1) == b""
    document = json.loads(content)
    assert document.pop("request_id") == response.headers["X-Request-ID"]
    return document


def trickle(connection, data, seconds=0.03, size=1):
    """Send a few bytes after another, until they are answered or cut."""
    for start in range(0, len(data), size):
        if select.select([connection], [], [], seconds)[0]:
            return
        connection.sendall(data[start : start + size])
    raise AssertionError("it was not cut")


SLOW_HEADERS = "The headers took longer than 0.3 seconds."
SLOW_BODY = "The body came at less than 500 bytes a second, or not at all for 0.3 seconds."


@pytest.mark.parametrize(
    ("first", "slowly", "said"),
    [
        (b"", b"", SLOW_HEADERS),
        (POST, b"", SLOW_HEADERS),
        (b"", POST + b"X: ", SLOW_HEADERS),
        (GET, POST + b"X: ", SLOW_HEADERS),
        (DECLARED, b"x", SLOW_BODY),
    ],
    ids=["nothing", "half a header", "header", "next header", "body"],
)
def test_who_sends_nothing_or_byte_by_byte_is_cut(serve, first, slowly, said):
    with serve(answer).connect(first) as connection:
        if first == GET:
            assert read(connection)[0].status == 200
        if slowly:
            trickle(connection, slowly + b"x" * 1000)
        document = read_refusal(connection)

    assert document == {"title": "Request Timeout", "status": 408, "detail": said}


def test_who_stops_amid_a_body_is_cut_and_the_app_told(serve):
    told = threading.Event()

    async def app(scope, receive, send):
        await answer(scope, receive, send)
        told.set()

    server = serve(app)

    with server.connect(DECLARED) as connection:
        server.wait_for_looks(3)
        connection.sendall(b"x" * 10_000)
        assert read_refusal(connection)["detail"] == SLOW_BODY
    assert told.wait(20)


@pytest.mark.parametrize(("sent", "said"), [(b"mine-1", "mine-1"), (b"not mine", None)])
def test_a_refusal_has_the_id_that_was_sent_and_the_form_of_its_protocol(serve, sent, said):
    declared = DECLARED.replace(b"/predict", b"/v2/models/iris/infer")
    head = declared[:-2] + b"X-Request-ID: " + sent + b"\r\n\r\n"

    with serve(answer).connect(head) as connection:
        response, content = read(connection)

    called = response.headers["X-Request-ID"]
    assert called == said or (said is None and len(called) == 32)
    assert (response.status, response.headers["Content-Type"]) == (408, "application/json")
    assert [*json.loads(content)] == ["error"]


def test_what_has_begun_to_be_answered_is_only_closed(serve):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await answer(scope, receive, send)

    with serve(app).connect(DECLARED) as connection:
        head = connection.recv(1000)

        assert head.startswith(b"HTTP/1.1 200")
        assert b"408" not in head + connection.recv(1000)


def test_who_takes_no_answer_is_not_waited_for(serve):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 10**7 * 2, "more_body": True})
        await answer(scope, receive, send)

    with serve(app).connect(DECLARED):
        wait_until(lambda: swept)
        wait_until(lambda: not swept)


def test_the_app_may_not_answer_what_was_refused(serve):
    refused = threading.Event()
    app = answer_after(refused, answer_at_once)
    server, before = serve(app), Connection.cut

    with server.connect(DECLARED) as connection:
        wait_until(lambda: Connection.cut > before)
        refused.set()

        assert read_refusal(connection)


@pytest.mark.parametrize(("most", "pace"), [(10**7, (0.03, 1)), (100_000, (0.01, 4096))])
def test_the_rest_of_a_body_may_be_neither_slow_nor_endless(serve, monkeypatch, most, pace):
    monkeypatch.setattr(connections, "REST_BYTES", most)
    keep_alive = SECONDS if pace == (0.03, 1) else 75

    with serve(answer_at_once, keep_alive).connect(DECLARED) as connection:
        assert read(connection)[0].status == 200
        trickle(connection, b"x" * 900_000, *pace)

        assert connection.recv(1) == b""


UPLOAD = POST + b"Content-Length: %d\r\n\r\n"
STEADILY = [1, b"x" * 100] * LOOKS


@pytest.mark.parametrize(
    ("app", "steps"),
    [
        (answer, [GET, "0", LOOKS, GET, "0"]),
        (answer, [UPLOAD % 1500, *STEADILY, "1500"]),
        (answer, [UPLOAD % 9, 4, b"x" * 9, "9", LOOKS, GET, "0"]),
        (answer, [POST, *[4, b"\r\n" + POST, "0"] * 4]),
        (answer_at_once, [UPLOAD % 1500, "", *STEADILY, GET, ""]),
    ],
    ids=["quiet between", "long upload", "after a slow one", "each header", "rest of a body"],
)
def test_who_takes_long_without_a_pause_within_a_request_is_not_cut(serve, app, steps):
    """Send bytes, wait for a number of looks, and read answers of some text."""
    server = serve(app, SECONDS if app is answer_at_once else 75)

    with server.connect() as connection:
        for step in steps:
            if isinstance(step, bytes):
                connection.sendall(step)
            elif isinstance(step, int):
                server.wait_for_looks(step)
            else:
                response, content = read(connection)
                assert (response.status, content.decode()) == (200, step)


def test_a_web_socket_is_none_of_ours(serve):
    async def app(_, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    server = serve(app)

    with server.connect(POST.replace(b"POST", b"GET"), upgrade, key) as accepted:
        assert b"101 Switching" in accepted.recv(1000)
        with ExitStack() as stack:
            silent = [stack.enter_context(server.connect()) for _ in range(8)]
            assert all(read_refusal(it) for it in silent)

        assert not select.select([accepted], [], [], 0)[0]


def test_who_sends_more_than_the_app_reads_is_not_cut(serve):
    event = threading.Event()
    server = serve(answer_after(event))

    with server.connect(DECLARED, b"x" * 100_000) as connection:
        server.wait_for_looks()
        event.set()
        connection.sendall(b"x" * 900_000)

        assert read(connection)[1] == b"1000000"


def test_who_waits_to_be_asked_for_the_body_is_not_cut(serve):
    event = threading.Event()
    server = serve(answer_after(event))

    with server.connect(POST, b"Content-Length: 1\r\nExpect: 100-continue\r\n\r\n") as connection:
        server.wait_for_looks()
        event.set()
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"x")

        assert read(connection)[1] == b"1"


@pytest.mark.parametrize("more", [b"", GET, DECLARED, POST])
def test_who_waits_for_an_answer_and_sends_more_is_not_cut(serve, more):
    event = threading.Event()
    server = serve(answer_after(event, answer_at_once, is_asked=True))

    with server.connect(GET, more) as connection:
        server.wait_for_looks()
        event.set()

        assert read(connection)[0].status == 200


def test_a_server_that_was_held_up_blames_no_caller(serve):
    async def app(scope, receive, send):
        if scope["method"] == "GET":
            time.sleep(2 * SECONDS)  # noqa: ASYNC251  that holds up the others
        await answer(scope, receive, send)

    server = serve(app)

    with server.connect(POST) as slow, server.connect(GET) as other:
        slow.sendall(b"Content-Length: 0\r\n\r\n")
        assert read(other)[0].status == 200

        assert read(slow)[0].status == 200


def test_sweeps_end_with_the_last_connection_and_begin_again(serve):
    server = serve(answer)
    for cut in (1, 2):
        before = Connection.cut
        with server.connect() as connection:
            assert read_refusal(connection)
        wait_until(lambda: not swept)

        assert Connection.cut - before == 1, cut


def test_two_hundred_slow_senders_leave_no_descriptor_behind(serve):
    server = serve(answer)
    starts = [b"", POST, DECLARED, DECLARED + b"x" * 100]
    with server.connect() as connection:
        assert read_refusal(connection)
    wait_until(lambda: not swept)
    list_descriptors, cut = Path("/dev/fd").iterdir, Connection.cut
    before = len([*list_descriptors()])

    with ExitStack() as stack:
        senders = [stack.enter_context(server.connect(starts[i % 4])) for i in range(200)]
        wait_until(lambda: Connection.cut - cut == 200)
        assert all(read_refusal(sender) for sender in senders)

    wait_until(lambda: len([*list_descriptors()]) == before)


def test_who_sends_many_requests_ahead_of_answers_is_closed(serve):
    event, called = threading.Event(), []

    async def app(scope, receive, send):
        called.append(scope)
        await answer_after(event, answer_at_once)(scope, receive, send)

    with serve(app).connect(GET * 3000) as connection:
        assert connection.recv(1) == b""

    event.set()
    assert len(called) == 1


def test_no_more_is_read_while_requests_wait(serve):
    event = threading.Event()
    server, some = serve(answer_after(event, answer_at_once, is_asked=True)), MOST_AHEAD - 20

    with server.connect(GET * some) as connection:
        server.wait_for_looks(5)
        connection.sendall(GET * some)
        server.wait_for_looks(5)
        event.set()
        count_answers(connection, 2 * some)


def count_answers(connection, expected):
    answered = b""
    while answered.count(b"HTTP/1.1 200") < expected:
        received = connection.recv(65_536)
        assert received, answered.count(b"HTTP/1.1 200")
        answered += received


LARGE = {
    "path": b"GET /" + b"x" * 200_000,
    "header": POST + b"x: " + b"x" * 200_000,
    "headers": POST + b"x: x\r\n" * 30_000,
    "trailer": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nx: " + b"x" * 200_000,
    "nothing": b"\r\n" * 100_000,
}


@pytest.mark.parametrize("much", LARGE.values(), ids=LARGE)
def test_large_headers_are_refused_however_they_come(serve, much):
    patient = Limit(20, RATE)
    server = serve(answer, header_limit=patient, body_limit=patient)

    with server.connect() as connection:
        trickle(connection, much, 0.01, 4096)
        document = read_refusal(connection, 431)
    with server.connect(POST + b"x: " + b"x" * 110_000 + b"\r\n\r\n") as connection:
        assert read(connection)[0].status == 431

    assert document["detail"] == "The headers are larger than 65536 bytes."


def test_headers_of_64_kb_are_taken_behind_a_body(serve):
    body = POST + b"Content-Length: 300000\r\n\r\n" + b"x" * 300_000
    large = GET[:-2] + b"x: " + b"x" * 65_000 + b"\r\n\r\n"

    with serve(answer).connect(body + large) as connection:
        count_answers(connection, 2)


@pytest.mark.parametrize("sent", [GET, GET * 4, GET[:-2] + b"Connection: close\r\n\r\n"])
def test_who_takes_nothing_of_an_answer_is_cut(serve, caplog, sent):
    server = serve(answering(b"x" * 20_000_000))

    with server.connect(sent, buffer=4096) as connection:
        wait_until(lambda: server.connections)
        wait_until(lambda: not server.connections)

        with pytest.raises(ConnectionResetError):  # nor does the system keep the rest
            read(connection)
    assert "Exception" not in caplog.text


def test_who_takes_nothing_of_many_answers_is_cut(serve):
    server = serve(answering(b"x" * 50_000))

    with server.connect(buffer=4096) as connection:
        connection.setblocking(False)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            select.select([], [connection], [], 1)
            try:
                connection.send(GET)
            except BlockingIOError:
                continue
            except OSError:
                break

        assert time.monotonic() < until
        wait_until(lambda: not server.connections)


def test_who_takes_an_answer_slowly_is_not_cut(serve):
    server, size = serve(answering(b"x" * 10_000_000)), 0

    with server.connect(GET, buffer=4096) as connection:
        until = server.protocol.looks + 2 * LOOKS
        while server.protocol.looks < until:
            size += len(connection.recv(1000))
            time.sleep(0.005)  # what makes this caller a slow one
        while size < 10_000_000:
            size += len(connection.recv(1_000_000))


def test_what_is_no_http_is_refused_with_a_document(serve):
    with serve(answer).connect(b"what\r\n\r\n") as connection:
        document = read_refusal(connection, 400)

    assert document["detail"] == "Invalid HTTP request received."
    assert HEADERS == security.HEADERS  # what answers say to browsers


def test_what_is_no_http_is_not_the_answer_to_an_earlier_request(serve):
    event = threading.Event()

    with serve(answer_after(event)).connect(GET, b"what\r\n\r\n") as connection:
        assert connection.recv(1) == b""
        event.set()
