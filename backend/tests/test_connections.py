import asyncio
import json
import select
import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPResponse
from pathlib import Path

import pytest
import uvicorn
from conftest import running_server
from processes import wait_until

from instrumentation.instruments import Instruments
from web import connections
from web.connections import HEADERS, MOST_AHEAD, Connection, Limit

SECONDS, LEAST = 0.3, 150
LOOKS = 15  # SECONDS take ten
POST = b"POST /predict HTTP/1.1\r\nHost: x\r\n"
UPLOAD = POST + b"Content-Length: %d\r\n\r\n"
DECLARED = UPLOAD % 1_000_000
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
H2C = POST + UPGRADE + b"Content-Length: 3\r\n\r\nabc"

looked = threading.Event()


class Impatient(Connection):
    header_limit = Limit(SECONDS)
    body_limit = Limit(SECONDS, LEAST)
    stalled_limit = Limit(SECONDS, LEAST)
    look_seconds = SECONDS / 10

    def look(self):
        looked.set()
        super().look()


def wait_for_looks(looks=LOOKS):
    for _ in range(looks):
        looked.clear()
        assert looked.wait(20), "nobody looked"


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def server(request):
    """A real one, in a thread, that loses patience soon."""
    settings = {"port": 0, "loop": request.param, "http": Impatient, "lifespan": "off"}
    settings |= {"interface": "asgi3", "log_config": None, "timeout_graceful_shutdown": 5}
    server = uvicorn.Server(uvicorn.Config(answer, **settings))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_until(lambda: server.started)
    server.lifespan.state["instruments"] = Instruments()
    yield server
    server.should_exit = True
    thread.join(20)


def count_slow(server):
    return server.lifespan.state["instruments"].slow_connections


@pytest.fixture
def serve(server, monkeypatch):
    """Have the server answer by an app, for one test; returns how to connect."""

    @contextmanager
    def connect(*sent, buffer=None):
        with socket.socket() as connection:
            connection.settimeout(20)
            if buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            connection.connect(server.servers[0].sockets[0].getsockname())
            for data in sent:
                connection.sendall(data)
            yield connection

    def start(app, keep_alive=75):
        monkeypatch.setattr(server.config, "loaded_app", app)
        monkeypatch.setattr(server.config, "timeout_keep_alive", keep_alive)
        return connect

    yield start
    wait_until(lambda: not server.server_state.connections, 20)


async def answer(scope, receive, send):
    """Answer how many bytes the body had, once all have come."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body")
    await answering(str(size).encode())(scope, receive, send)


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


def is_over(connection):
    """Closed, or reset as a byte was still on its way when the server closed."""
    with suppress(ConnectionResetError):
        return connection.recv(1) == b""
    return True


def read_refusal(connection, status=408):
    """The detail of a problem document, if it is a whole answer and the last one."""
    response, content = read(connection)
    assert response.status == status
    assert {(name, response.headers[name.decode()].encode()) for name, _ in HEADERS} == {*HEADERS}
    assert response.headers["Connection"] == "close"
    assert response.headers["Content-Type"] == "application/problem+json"
    assert is_over(connection)
    document = json.loads(content)
    assert document["request_id"] == response.headers["X-Request-ID"]
    assert document["status"] == status
    return document["detail"]


def trickle(connection, data, seconds=0.03, size=1):
    """Send a few bytes after another, until they are answered or cut."""
    for start in range(0, len(data), size):
        if select.select([connection], [], [], seconds)[0]:
            return
        with suppress(ConnectionError):  # it is cut at this moment, and what it was told comes next
            connection.sendall(data[start : start + size])
    raise AssertionError("it was not cut")


def count_answers(connection, expected):
    answered = b""
    while answered.count(b"HTTP/1.1 200") < expected:
        received = connection.recv(65_536)
        assert received, answered.count(b"HTTP/1.1 200")
        answered += received


SLOW_HEADERS = "The headers took longer than 0.3 s."
SLOW_BODY = "Fewer than 150 bytes of the body came in 0.3 s."
SLOW = {
    "nothing": (b"", b"", SLOW_HEADERS),
    "half a header": (POST, b"", SLOW_HEADERS),
    "header": (b"", POST + b"X: ", SLOW_HEADERS),
    "next header": (GET, POST + b"X: ", SLOW_HEADERS),
    "body": (DECLARED, b"x", SLOW_BODY),
    "body that began well": (DECLARED + b"x" * 10_000, b"x", SLOW_BODY),
}


@pytest.mark.parametrize(("first", "slowly", "said"), SLOW.values(), ids=SLOW)
def test_who_sends_nothing_or_byte_by_byte_is_cut(serve, first, slowly, said):
    with serve(answer)(first) as connection:
        if first == GET:
            assert read(connection)[0].status == 200
        if slowly:
            trickle(connection, slowly + b"x" * 1000)
        assert read_refusal(connection) == said


def test_who_stops_amid_a_body_is_cut_and_the_app_told(serve):
    told = threading.Event()

    async def app(scope, receive, send):
        await answer(scope, receive, send)
        told.set()

    with serve(app)(DECLARED) as connection:
        wait_for_looks(3)
        connection.sendall(b"x" * 10_000)
        assert read_refusal(connection) == SLOW_BODY
    assert told.wait(20)


@pytest.mark.parametrize(("sent", "said"), [(b"mine-1", "mine-1"), (b"not mine", None)])
def test_a_refusal_has_the_id_that_was_sent_and_the_form_of_its_protocol(serve, sent, said):
    declared = DECLARED.replace(b"/predict", b"/v2/models/iris/infer")
    head = declared[:-2] + b"X-Request-ID: " + sent + b"\r\n\r\n"

    with serve(answer)(head) as connection:
        response, content = read(connection)

    called = response.headers["X-Request-ID"]
    assert called == said or (said is None and len(called) == 32)
    assert (response.status, response.headers["Content-Type"]) == (408, "application/json")
    assert [*json.loads(content)] == ["error"]


async def begin(scope, receive, send, content=b""):
    """Begin an answer before the body has come."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": content, "more_body": True})
    await answer(scope, receive, send)


def test_what_has_begun_to_be_answered_is_only_closed(serve):
    with serve(begin)(DECLARED) as connection:
        head = connection.recv(1000)

        assert head.startswith(b"HTTP/1.1 200")
        assert b"408" not in head + connection.recv(1000)


def test_the_app_may_not_answer_what_was_refused(serve, server):
    refused, before = threading.Event(), count_slow(server)

    with serve(answer_after(refused, answer_at_once))(DECLARED) as connection:
        wait_until(lambda: count_slow(server) > before)
        refused.set()

        assert read_refusal(connection)


AFTER = {"slow": (DECLARED, (0.03, 1)), "endless": (DECLARED, (0.01, 4096)), "idle": (GET, (9, 1))}


@pytest.mark.parametrize(("sent", "pace"), AFTER.values(), ids=AFTER)
def test_answered_callers_may_be_neither_slow_nor_endless(serve, monkeypatch, sent, pace):
    is_fast = pace[1] > 1
    monkeypatch.setattr(connections, "REST_BYTES", 100_000 if is_fast else 10**7)

    with serve(answer_at_once, 75 if is_fast else SECONDS)(sent) as connection:
        assert read(connection)[0].status == 200
        trickle(connection, b"x" * 900_000, *pace)

        assert is_over(connection)


SOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"
STEADILY = [1, b"x" * 100] * LOOKS
STEPS = {
    "quiet between": [GET, "0", LOOKS, GET, "0"],
    "long upload": [UPLOAD % 1500, *STEADILY, "1500"],
    "after a slow one": [UPLOAD % 9, 4, b"x" * 9, "9", LOOKS, GET, "0"],
    "each header": [POST, *[4, b"\r\n" + POST, "0"] * 4],
    "upgrade": [H2C, "3", GET, "0"],
    "upgrade in parts": [H2C[:75], 2, H2C[75:-1], 2, H2C[-1:], "3"],
    "upgrade of chunks": [CHUNKED[:-2] + UPGRADE + b"\r\n1\r\nx\r\n0\r\n\r\n", "1", GET, "0"],
    "last upgrade": [H2C.replace(b"Upgrade, ", b"Upgrade, close, "), "3"],
    "web socket": [GET[:-2] + SOCKET, "0", GET, "0"],
    "HTTP/1.0": [b"GET / HTTP/1.0\r\n\r\n", "0"],
}


def follow(connection, steps):
    """Send bytes, wait for a number of looks, and read answers of some text."""
    for step in steps:
        if isinstance(step, bytes):
            connection.sendall(step)
        elif isinstance(step, int):
            wait_for_looks(step)
        else:
            response, content = read(connection)
            assert (response.status, content.decode()) == (200, step)


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
def test_who_sends_requests_without_a_pause_within_is_answered(serve, steps):
    with serve(answer)() as connection:
        follow(connection, steps)


def test_the_rest_of_a_body_may_take_longer_than_an_idle_caller(serve):
    with serve(answer_at_once, SECONDS)() as connection:
        follow(connection, [UPLOAD % 1500, "", *STEADILY, GET, ""])


ASKING = (UPLOAD % 1)[:-2] + b"Expect: 100-continue\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "more", "size"), [(DECLARED, b"x" * 1_000_000, "1000000"), (ASKING, b"x", "1")]
)
def test_who_has_to_wait_until_the_app_reads_is_not_cut(serve, sent, more, size):
    event = threading.Event()

    with serve(answer_after(event))(sent, more[: len(more) // 10]) as connection:
        wait_for_looks()
        event.set()
        if sent == ASKING:
            assert connection.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        follow(connection, [more[len(more) // 10 :], size])


@pytest.mark.parametrize("more", [b"", GET, DECLARED, POST])
def test_who_waits_for_an_answer_and_sends_more_is_not_cut(serve, more):
    event = threading.Event()

    with serve(answer_after(event, answer_at_once, is_asked=True))(GET, more) as connection:
        wait_for_looks()
        event.set()

        assert read(connection)[0].status == 200


def test_a_server_that_was_held_up_blames_no_caller(serve):
    async def app(scope, receive, send):
        if scope["method"] == "GET":
            time.sleep(2 * SECONDS)  # noqa: ASYNC251  that holds up the others
        await answer(scope, receive, send)

    connect = serve(app)

    with connect(POST) as slow, connect(GET) as other:
        slow.sendall(b"Content-Length: 0\r\n\r\n")
        assert read(other)[0].status == 200

        assert read(slow)[0].status == 200


def test_two_hundred_slow_senders_leave_no_descriptor_behind(serve, server):
    connect, starts = serve(answer), [b"", POST, DECLARED, DECLARED + b"x" * 100]
    with connect() as connection:
        assert read_refusal(connection)
    wait_until(lambda: not server.server_state.connections)
    list_descriptors, cut = Path("/dev/fd").iterdir, count_slow(server)
    before = len([*list_descriptors()])

    with ExitStack() as stack:
        senders = [stack.enter_context(connect(starts[i % 4])) for i in range(200)]
        wait_until(lambda: count_slow(server) - cut == 200)
        assert all(read_refusal(sender) for sender in senders)

    wait_until(lambda: len([*list_descriptors()]) == before)


def test_who_sends_many_requests_ahead_of_answers_is_closed(serve):
    event, called = threading.Event(), []

    async def app(scope, receive, send):
        called.append(scope)
        await answer_after(event, answer_at_once)(scope, receive, send)

    with serve(app)(GET * 3000) as connection:
        assert is_over(connection)

    event.set()
    assert len(called) == 1


def test_no_more_is_read_while_requests_wait(serve):
    event, some = threading.Event(), (H2C + GET) * (MOST_AHEAD // 3)

    with serve(answer_after(event, answer_at_once, is_asked=True))(GET, some) as connection:
        wait_for_looks(5)
        connection.sendall(some)
        wait_for_looks(5)
        event.set()
        count_answers(connection, 1 + MOST_AHEAD // 3 * 4)


TOO_LARGE = "The headers are larger than 65536 bytes."
LARGE = {
    "path": b"GET /" + b"x" * 200_000,
    "header": POST + b"x: " + b"x" * 200_000,
    "headers": POST + b"x: x\r\n" * 30_000,
    "trailer": CHUNKED + b"1\r\nx\r\n0\r\nx: " + b"x" * 200_000,
    "nothing": b"\r\n" * 100_000,
}


@pytest.mark.parametrize("much", LARGE.values(), ids=LARGE)
def test_large_headers_are_refused_however_they_come(serve, monkeypatch, much):
    monkeypatch.setattr(Impatient, "header_limit", Limit(20))
    monkeypatch.setattr(Impatient, "body_limit", Limit(20, LEAST))
    connect = serve(answer)

    with connect() as connection:
        trickle(connection, much, 0.01, 4096)
        assert read_refusal(connection, 431) == TOO_LARGE
    with connect(POST + b"x: " + b"x" * 110_000 + b"\r\n\r\n") as connection:
        assert read(connection)[0].status == 431


def test_headers_of_64_kb_are_taken_behind_a_body(serve):
    body, large = UPLOAD % 300_000 + b"x" * 300_000, b"x:x\r\n" * 12_900 + b"\r\n"

    with serve(answer)(body + GET[:-2] + large + POST + UPGRADE + large) as connection:
        count_answers(connection, 3)


MUCH = b"x" * 20_000_000
LAST = GET[:-2] + b"Connection: close\r\n\r\n"


async def stream(scope, receive, send):
    await begin(scope, receive, send, MUCH)


@pytest.mark.parametrize(
    ("app", "sent"),
    [*((answering(MUCH), sent) for sent in (GET, GET * 4, LAST)), (stream, DECLARED)],
)
def test_who_takes_nothing_of_an_answer_is_cut(serve, server, caplog, app, sent):
    with serve(app)(sent, buffer=4096) as connection:
        wait_until(lambda: server.server_state.connections)
        wait_until(lambda: not server.server_state.connections)

        with pytest.raises(ConnectionResetError):  # nor does the system keep the rest
            read(connection)
    assert "Exception" not in caplog.text


def test_the_app_is_told_of_a_cut_while_requests_wait(serve):
    told = threading.Event()

    async def app(_, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": MUCH, "more_body": True})
        assert (await receive())["type"] == "http.disconnect"
        told.set()

    with serve(app)(GET * 2, buffer=4096):
        assert told.wait(20)


def test_who_takes_an_answer_slowly_is_not_cut(serve):
    size = 0

    with serve(answering(b"x" * 10_000_000))(GET, buffer=4096) as connection:
        for _ in range(2 * LOOKS):
            size += len(connection.recv(1000))
            wait_for_looks(1)
        while size < 10_000_000:
            size += len(connection.recv(1_000_000))


REFUSED = {
    "other protocol": (b"what\r\n\r\n", 400, "Invalid method"),
    "no host": (b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n", 400, "0 Host headers"),
    "two hosts": (GET[:-2] + b"Host: x\r\n\r\n", 400, "2 Host headers"),
    "length and chunks": (DECLARED[:-2] + CHUNKED[len(POST) :], 400, "Transfer-Encoding"),
    "chunk size": (CHUNKED + b"x\r\n", 400, "chunk size"),
    "folded header": (POST + b"x: x\r\n x\r\n\r\n", 400, "whitespace after header value"),
    "NUL": (POST + b"x: x\0x\r\n\r\n", 400, "header value char"),
    "coding": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "can only be chunked"),
    "codings": (POST + b"Transfer-Encoding: gzip\r\n" + CHUNKED[len(POST) :], 501, "chunked"),
    "proxy": (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 501, "not a proxy"),
}


@pytest.mark.parametrize(("sent", "status", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_answered_is_refused_with_a_document(serve, sent, status, said):
    with serve(answer)(sent) as connection:
        assert said in read_refusal(connection, status)


def test_what_is_no_http_is_not_the_answer_to_an_earlier_request(serve):
    event = threading.Event()

    with serve(answer_after(event))(GET, b"what\r\n\r\n") as connection:
        assert is_over(connection)
        event.set()


def test_trailers_are_no_headers(serve):
    async def app(scope, receive, send):
        while (await receive())["more_body"]:
            pass
        await answering(b" ".join(name for name, _ in scope["headers"]))(scope, receive, send)

    with serve(app)(CHUNKED + b"1\r\nx\r\n0\r\nX-API-Key: x\r\n\r\n") as connection:
        follow(connection, ["host transfer-encoding", GET, "host"])


def test_too_large_a_body_is_refused_before_it_is_asked_for(publish, tmp_path):
    publish()
    asking = b"Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n"

    with running_server(tmp_path, MAX_BODY_BYTES=1000) as (url, _):
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        with socket.create_connection(address, 20) as connection:
            for path in (b"/predict", b"/predict/batch", b"/v2/models/iris/infer"):
                connection.sendall((UPLOAD % 2000).replace(b"/predict", path)[:-2] + asking)
                assert connection.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 413"
                read(connection)
                connection.sendall(b"x" * 2000)  # as a caller may all the same
