import asyncio
import json
import select
import socket
import time
from contextlib import ExitStack, contextmanager
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pytest
import requests
from conftest import NAMES, fit_iris, publish_in, running_server
from formats import ARROW, JSON, write
from open_protocol import describe_tensor
from processes import wait_until
from sklearn.neighbors import KNeighborsClassifier

from batch import download
from batch.queue import MAX_WAITING
from routes import open_inference
from web import bodies
from worker.model_worker import ModelWorker
from worker.nursery import find_nursery

ROWS = 480_000


@pytest.fixture
def scorers(monkeypatch):
    """The processes that have been asked for tables."""
    asked = []

    def take_spare(worker, original=ModelWorker.take_spare, **options):
        process = original(worker, **options)
        asked.append(process.pid)
        return process

    monkeypatch.setattr(ModelWorker, "take_spare", take_spare)
    return asked


def is_any_left(pids):
    forks = Path(f"/proc/{find_nursery().pid}/task/{find_nursery().pid}/children")
    return not set(forks.read_text().split()).isdisjoint(map(str, pids))


@pytest.fixture(scope="module")
def slow_client(share_app):
    """A model that takes half a minute for a table."""
    return share_app({"estimator": fit_iris(KNeighborsClassifier(150, algorithm="brute"))})


def table(rows=ROWS):
    return write(pa.table(dict.fromkeys(NAMES, np.ones(rows))), ARROW)


def make_scope(client, path="/predict/batch"):
    headers = [(b"content-type", ARROW.encode())]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    return scope | {"query_string": b"", "state": dict(client.app_state), "http_version": "1.1"}


def talk(client, receive, sent=None, **options):
    """The messages of an answer to a caller who sends so; a list shows them as they come."""
    sent = [] if sent is None else sent

    async def keep(message):
        sent.append(message)

    client.portal.call(client.app, make_scope(client, **options), receive, keep)
    return sent


def leave_after(seconds, *body):
    """Sends a body, and is gone so much later."""
    until = time.monotonic() + seconds
    return leave_when(lambda: time.monotonic() > until, *body)


def leave_when(condition, body=None, more_body=False):
    """Sends a body, or else a table, and is gone as soon as the condition holds."""
    messages = [{"type": "http.request", "body": body or table(), "more_body": more_body}]

    async def receive():
        if messages:
            return messages.pop()
        while not condition():  # noqa: ASYNC110  # it is threads that count
            await asyncio.sleep(0.001)
        return {"type": "http.disconnect"}

    return receive


def has_room(client):
    response = client.post("/predict/batch", content=table(1), headers={"Content-Type": ARROW})
    return response.status_code == 200


@pytest.mark.parametrize("has_begun", [False, True])
def test_who_leaves_stops_the_scoring(slow_client, scorers, has_begun):
    sent = []

    talk(slow_client, leave_when(lambda: sent if has_begun else scorers), sent)

    wait_until(lambda: not is_any_left(scorers))
    assert has_room(slow_client)


@pytest.mark.parametrize(("body", "more_body"), [(None, False), (b"ARROW1", True)])
def test_who_leaves_gives_up_the_place_and_the_process(client, scorers, body, more_body):
    for _ in range(MAX_WAITING + 2):
        talk(client, leave_after(0, body, more_body))

    assert has_room(client)
    wait_until(lambda: not is_any_left(scorers))


def test_who_leaves_a_large_inference_is_not_answered(slow_client, monkeypatch):
    monkeypatch.setattr(open_inference, "TABLE_BODY", 0)
    tensor = describe_tensor("x", [[1.0] * len(NAMES)] * 40_000)
    leaving = leave_after(0.1, json.dumps({"inputs": [tensor]}).encode())

    [start, *_] = talk(slow_client, leaving, path="/v2/models/iris/infer")

    assert start["status"] == 400  # which nobody reads


@pytest.mark.parametrize(
    ("kinds", "is_same"), [((JSON, JSON), True), ((ARROW, ARROW), False), ((JSON, ARROW), False)]
)
def test_a_small_table_of_json_leaves_its_process_to_the_next(client, scorers, kinds, is_same):
    for kind in kinds:
        body = write(pa.table({name: [1.0] for name in NAMES}), kind)
        client.post("/predict/batch", content=body, headers={"Content-Type": kind})

    assert (scorers[0] == scorers[1]) is is_same


async def stall(message):
    """As a caller who stops taking the answer."""
    if message["type"] == "http.response.body":
        await asyncio.sleep(60)


def test_who_stops_taking_the_answer_loses_it(client, monkeypatch, caplog):
    monkeypatch.setattr(download, "STALLED_SECONDS", 0.05)

    client.portal.call(client.app, make_scope(client), leave_after(60), stall)

    assert "download stalled" in caplog.text
    assert has_room(client)


def test_who_sends_too_slowly_is_told_so(client, monkeypatch):
    monkeypatch.setattr(bodies, "UPLOAD_SECONDS", 0.05)

    sent = talk(client, leave_after(60, b"ARROW1", True))

    assert sent[0]["status"] == 408
    assert b"took longer than" in sent[1]["body"]


def test_places_are_few_and_the_next_caller_is_asked_to_wait(client):
    ask, scope = client.portal.start_task_soon, make_scope(client)
    callers = [ask(client.app, dict(scope), leave_after(60), stall) for _ in range(MAX_WAITING + 1)]

    wait_until(lambda: client.app_state["queue"].taken == len(callers))
    response = client.post("/predict/batch", content=b"x", headers={"Content-Type": ARROW})
    for caller in callers:
        caller.cancel()

    assert response.status_code == 503
    assert response.headers["retry-after"] == "10"
    wait_until(lambda: has_room(client))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a real backend that takes bodies of 20 KB, nine of them at once."""
    folder = tmp_path_factory.mktemp("models")
    publish_in(folder)
    with running_server(folder, JOURNAL="off", MAX_BODY_BYTES=20_000) as (url, _):
        yield url


@contextmanager
def uploading(url, size, count):
    """So many connections that send so much of a body, and no more of it."""
    address = urlsplit(url)
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 20000\r\n\r\n"
    with ExitStack() as stack:
        connections = []
        for _ in range(count):
            it = socket.create_connection((address.hostname, address.port), 20)
            connections.append(stack.enter_context(it))
            it.sendall(head % b"/predict/batch" + b"x" * size)
        wait_until(lambda: count_requests(url) > MAX_WAITING + 1)  # with the one that asks
        yield connections


def count_requests(url):
    lines = requests.get(f"{url}/metrics", timeout=5).text.splitlines()
    [count] = [line.split()[1] for line in lines if line.startswith("http_requests_in_flight ")]
    return float(count)


def send_batch(url):
    headers = {"Content-Type": "text/csv"}
    table = ",".join(NAMES) + "\n5.1,3.5,1.4,0.2\n"
    return requests.post(f"{url}/predict/batch", table, headers=headers, timeout=20)


def test_slow_uploads_keep_no_batch_waiting(server):
    with uploading(server, size=10, count=2 * MAX_WAITING):
        assert send_batch(server).status_code == 200


def test_uploads_that_fill_the_room_make_way_for_a_batch(server):
    with uploading(server, size=18_000, count=MAX_WAITING + 3) as connections:
        assert send_batch(server).status_code == 200

        # The server may have begun to read them in another order than they were opened in.
        [cut, *_] = select.select(connections, [], [], 20)[0]
        answer = HTTPResponse(cut)
        answer.begin()
        assert (answer.status, answer.getheader("Retry-After")) == (503, "10")
        assert "Too many uploads" in answer.read().decode()
