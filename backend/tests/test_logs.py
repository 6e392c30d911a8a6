import io
import json
import logging
import os
import re
import signal
import sys
from contextlib import ExitStack

import pytest
import requests
from conftest import SETOSA, VERSION, running_server
from processes import wait_until

from instrumentation.logs import JsonFormatter, RequestLog, TextFormatter, request_id

NAMES = ["plain", "long", "wrong", "lost"]


@pytest.mark.parametrize("path", ["/predict", "/predict?version=" + VERSION, "/explain"])
def test_the_callers_request_id_comes_back_if_it_is_fit_for_a_log(client, path):
    def ask(sent):
        headers = {"X-Request-ID": sent.encode("latin-1")}
        return client.post(path, json=SETOSA, headers=headers).headers["x-request-id"]

    assert ask("order-4711:a/b+c==") == "order-4711:a/b+c=="
    for sent in ("", " ", "a b", "a\nb", "x" * 129, "h\u00e9", 'a"b', "{}"):
        assert re.fullmatch(r"[0-9a-f]{32}", ask(sent))
    own = client.post("/predict", json=SETOSA)
    assert own.headers["x-request-id"] == own.json()["prediction_id"]


def test_a_problem_names_its_request(journal_client):
    for path in ("/predict", "/nothing", "/models/nothing", "/feedback?name=x&limit=0"):
        method, headers = "POST" if path == "/predict" else "GET", {"X-Request-ID": "mine"}

        problem = journal_client.request(method, path, json={}, headers=headers).json()

        assert problem["request_id"] == "mine"


@pytest.fixture
def service(publish, tmp_path):
    """Starts a real backend, and gives what it asks and how to read its log's lines."""
    publish()
    log = tmp_path / "log"
    with ExitStack() as stack:

        def start(**settings):
            variables = {"JOURNAL": "off", "output": stack.enter_context(log.open("w"))} | settings
            url, process = stack.enter_context(running_server(tmp_path, **variables))
            stack.callback(os.killpg, process.pid, signal.SIGKILL)  # the journal stays away
            return url, lambda: log.read_text().split("\n")[:-1]  # the last is not whole yet

        yield start


def ask_all_sorts(url):
    """Requests with ids of their own, and values that must not be told."""
    secret = SETOSA | {"sepal_length": 4.7110815}
    for name, path, body in (
        ("plain", "/predict", secret),
        ("long", "/predict?version=" + VERSION, secret),
        ("wrong", "/predict", secret | {"petal_width": "secret"}),
        ("lost", "/nothing?secret", {}),
    ):
        requests.post(url + path, json=body, headers={"X-Request-ID": name}, timeout=5)


def find(lines, name):
    return [line for line in lines if name in line]


def test_each_request_has_one_line_of_text(service):
    url, lines = service()
    ask_all_sorts(url)

    wait_until(lambda: all(find(lines(), f"request_id={it}") for it in NAMES))
    asked = [("/predict", 200), ("/predict", 200), ("/predict", 422), ("none", 404)]
    for name, (route, status) in zip(NAMES, asked, strict=True):
        [line] = find(lines(), f"request_id={name}")
        assert re.fullmatch(
            rf"INFO: access: request method=POST route={route} status={status} "
            rf"seconds=0\.\d{{6}} request_id={name}",
            line,
        )
    assert not find(lines(), "4.7110815")
    assert not find(lines(), "secret")


def test_each_line_is_an_object_where_json_is_wanted(service):
    url, lines = service(LOG_FORMAT="json")
    ask_all_sorts(url)

    wait_until(lambda: all(find(lines(), f'"{it}"') for it in NAMES))
    entries = [json.loads(line) for line in lines()]
    found = {it["request_id"]: it for it in entries if it["logger"] == "access"}
    assert (found["plain"]["status"], found["plain"]["route"]) == (200, "/predict")
    assert found["wrong"]["status"] == 422
    assert 0 < found["plain"]["seconds"] < 5
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["plain"]["time"])
    for said in ("model live", "Uvicorn running"):
        assert any(said in it["message"] for it in entries)


def test_workers_and_writers_write_objects_too(service, tmp_path):
    settings = {"JOURNAL": "on", "JOURNAL_URL": f"sqlite:////{tmp_path}/no/such/folder"}
    url, lines = service(LOG_FORMAT="json", WEB_CONCURRENCY=2, **settings)

    # Only one worker is known to be ready, and another may be the one that is asked.
    wait_until(lambda: ask_all_sorts(url) or find(lines(), "journal not written"))
    # The parent and a writer say so; the folder is not there.
    for said in ("Started parent process", "journal.retention"):
        wait_until(lambda said=said: find(lines(), said))
    assert {json.loads(line)["level"] for line in lines()} >= {"INFO", "WARNING", "ERROR"}


def test_only_warnings_are_written_if_that_is_the_level(service):
    url, lines = service(LOG_LEVEL="WARNING")
    ask_all_sorts(url)

    assert lines() == []


def make_record(error=None):
    return logging.LogRecord("live", logging.ERROR, "", 0, "model %s", ("refused",), error)


def test_an_events_line_has_the_id_of_its_request():
    token = request_id.set("mine")
    text, line = (it().format(make_record()) for it in (TextFormatter, JsonFormatter))
    request_id.reset(token)

    assert text == "ERROR: live: model refused request_id=mine"
    assert json.loads(line)["request_id"] == "mine"


def test_a_traceback_stays_in_its_line_of_json():
    try:
        raise ValueError("two\nlines")
    except ValueError:
        line = JsonFormatter().format(make_record(sys.exc_info()))

    assert "\n" not in line
    assert "two\nlines" in json.loads(line)["exception"]


def test_a_log_that_nobody_reads_any_more_stops_nothing():
    stream = io.StringIO()
    stream.close()

    RequestLog(stream, is_json=True).write([("GET", "/", 200, 0.1, "x", 0)])

    assert stream.closed
