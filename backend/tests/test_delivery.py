import asyncio
import gc
import time

import numpy as np
import pyarrow as pa
import pytest
from conftest import NAMES
from formats import ARROW, write
from processes import wait_until

from batch import delivery
from batch.line import MAX_WAITING
from batch.scoring import Columns
from batch.tables import CHUNK_ROWS
from inference import Model

ROWS = 480_000
CHUNKS = ROWS / CHUNK_ROWS


@pytest.fixture
def chunks(monkeypatch):
    """Which chunks have been looked at, and which answered, each in some milliseconds."""
    done = []

    def slow(name, original):
        def work(*arguments):
            done.append(name)
            time.sleep(0.02)  # this is the work, long enough to leave during it
            return original(*arguments)

        return work

    monkeypatch.setattr(Columns, "find_faults", slow("look", Columns.find_faults))
    monkeypatch.setattr(Model, "answer", slow("answer", Model.answer))
    return done


def table(rows=ROWS):
    return write(pa.table(dict.fromkeys(NAMES, np.ones(rows))), ARROW)


def make_scope(client):
    headers = [(b"content-type", ARROW.encode())]
    scope = {"type": "http", "method": "POST", "path": "/predict/batch", "headers": headers}
    return scope | {"query_string": b"", "state": dict(client.app_state), "http_version": "1.1"}


def talk(client, receive, sent=None):
    """The messages of an answer to a caller who sends so; a list shows them as they come."""
    sent = [] if sent is None else sent

    async def keep(message):
        sent.append(message)

    client.portal.call(client.app, make_scope(client), receive, keep)
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


def test_who_leaves_while_rows_are_looked_at_stops_that(client, chunks):
    talk(client, leave_when(lambda: chunks))
    assert has_room(client)

    assert 0 < chunks.index("answer") - 1 < CHUNKS - 1  # the last look is that of has_room


def test_who_leaves_while_the_answer_comes_stops_the_scoring(client, chunks):
    sent = []

    talk(client, leave_when(lambda: sent), sent)
    assert has_room(client)

    assert sent[0]["status"] == 200
    assert 0 < chunks.count("answer") < CHUNKS


@pytest.mark.parametrize(("body", "more_body"), [(None, False), (b"ARROW1", True)])
def test_who_leaves_gives_up_the_place_and_the_memory(client, body, more_body):
    allocated = pa.total_allocated_bytes()
    for _ in range(MAX_WAITING + 2):
        talk(client, leave_after(0, body, more_body))

    assert has_room(client)
    gc.collect()
    assert pa.total_allocated_bytes() - allocated < 1_000_000


def test_who_stops_taking_the_answer_loses_it(client, monkeypatch, caplog):
    monkeypatch.setattr(delivery, "STALLED_SECONDS", 0.05)

    async def stall(message):
        if message["type"] == "http.response.body":
            await asyncio.sleep(60)

    client.portal.call(client.app, make_scope(client), leave_after(60), stall)

    assert "download stalled" in caplog.text
    assert has_room(client)


def test_who_sends_too_slowly_is_told_so(client, monkeypatch):
    monkeypatch.setattr(delivery, "UPLOAD_SECONDS", 0.05)

    sent = talk(client, leave_after(60, b"ARROW1", True))

    assert sent[0]["status"] == 408
    assert b"took longer than" in sent[1]["body"]


def test_places_are_few_and_the_next_caller_is_asked_to_wait(client):
    ask, scope = client.portal.start_task_soon, make_scope(client)
    slow = [leave_after(60, b"ARROW1", True) for _ in range(MAX_WAITING + 1)]
    callers = [ask(client.app, dict(scope), it, None) for it in slow]

    wait_until(lambda: client.app_state["line"]._taken == len(callers))
    response = client.post("/predict/batch", content=b"x", headers={"Content-Type": ARROW})
    for caller in callers:
        caller.cancel()

    assert response.status_code == 503
    assert response.headers["retry-after"] == "10"
    wait_until(lambda: has_room(client))
