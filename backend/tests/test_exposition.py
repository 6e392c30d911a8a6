import json
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import requests
from conftest import SETOSA
from processes import find_free_port, list_processes, running, wait_until
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from exposition import Sum, Workers
from instrumentation import Instruments
from logs import Answered

WORKERS = 2


@contextmanager
def running_workers(models_dir, **settings):
    """A real backend of two processes."""
    port = find_free_port()
    command = [sys.executable, "-m", "uvicorn", "main:app", "--port", str(port)]
    variables = {"MODELS_DIR": models_dir, "WEB_CONCURRENCY": WORKERS, **settings}
    url = f"http://127.0.0.1:{port}"
    with running(command, "backend", **variables) as process:
        wait_until(lambda: all(requests.get(f"{url}/health/ready").ok for _ in range(10)))
        yield url, process.pid


def find_writers(parent):
    return [it for it, command in list_processes(parent) if "journal.writer" in command]


def find_workers(parent):
    """Those of its processes that serve."""
    return [it for it, command in list_processes(parent) if "spawn_main" in command]


def read(url):
    return {
        (sample.name, *(it for _, it in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(requests.get(f"{url}/metrics").text)
        for sample in family.samples
    }


def ask(url, count):
    """By connections of their own, so that both workers are asked."""
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(lambda _: requests.post(f"{url}/predict", json=SETOSA), range(count))
        )
    assert {it.status_code for it in answers} == {200}


def test_several_workers_are_counted_as_one(publish, tmp_path):
    publish()
    with running_workers(tmp_path, JOURNAL="off") as (url, _):
        wait_until(lambda: {read(url)["model_loads_total",] for _ in range(9)} == {WORKERS})
        ask(url, 60)

        # Each tells the others twice a second.
        wait_until(
            lambda: {read(url)["model_predictions_total", "setosa"] for _ in range(9)} == {60}
        )
        found = read(url)
        assert found["http_requests_total", "POST", "/predict", "200"] == 60
        assert found["model_prediction_probability_count",] == 60
        assert found["http_request_duration_seconds_count", "/predict"] == 60
        assert found["model_loads_total",] == WORKERS
        assert found["http_requests_in_flight",] >= 1  # this one
        assert sum(value for name, value in found.items() if name[0] == "model_info") == 1
        wait_until(
            lambda: (
                requests.get(f"{url}/monitoring").json()["predictions"]["by_class"]["setosa"] == 60
            )
        )


def test_what_a_killed_worker_has_counted_stays_counted(publish, tmp_path):
    publish()
    with running_workers(tmp_path, JOURNAL="off") as (url, parent):
        wait_until(lambda: {read(url)["model_loads_total",] for _ in range(9)} == {WORKERS})
        ask(url, 60)
        asked = "http_requests_total", "POST", "/predict", "200"
        wait_until(lambda: {read(url)[asked] for _ in range(20)} == {60})  # each has told the other

        killed = find_workers(parent)[0]
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: len(set(find_workers(parent)) - {killed}) == WORKERS)

        wait_until(lambda: read(url)["model_loads_total",] == WORKERS + 1)
        assert read(url)[asked] == 60


@pytest.fixture
def two(tmp_path):
    """Instruments that share a folder, as those of two workers do."""
    return [Instruments(Workers(tmp_path)) for _ in range(2)]


def exposed(instruments):
    families = text_string_to_metric_families(generate_latest(instruments.everything()).decode())
    return {
        (sample.name, *(it for _, it in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_counters_and_histograms_are_added_up(two):
    one, other = two
    one.count(Answered("GET", "/models", 200, 0.001, ""))
    other.count(Answered("GET", "/models", 200, 0.3, ""))
    other.count(Answered("GET", "/models", 404, 0.3, ""))
    other.share()

    found = exposed(one)
    assert found["http_requests_total", "GET", "/models", "200"] == 2
    assert found["http_requests_total", "GET", "/models", "404"] == 1
    assert found["http_request_duration_seconds_bucket", "0.001", "/models"] == 1
    assert found["http_request_duration_seconds_count", "/models"] == 3
    assert found["http_request_duration_seconds_sum", "/models"] == pytest.approx(0.601)


def test_requests_in_flight_are_added_up_while_their_worker_lives(two, tmp_path):
    one, other = two
    one.in_flight, other.in_flight = 1, 2
    other.share()
    assert exposed(one)["http_requests_in_flight",] == 3

    [file] = tmp_path.glob("*.json")
    file.rename(tmp_path / "999999999-dead.json")

    assert exposed(one)["http_requests_in_flight",] == 1


def test_a_half_written_file_is_none(two, tmp_path):
    one, other = two
    other.share()
    [file] = tmp_path.glob("*.json")
    (tmp_path / "1.tmp").write_text(file.read_text()[:20])

    assert ("http_requests_in_flight",) in exposed(one)
    assert json.loads(file.read_text())["version"] is None


def test_sources_with_the_same_series_are_one():
    registries = [CollectorRegistry() for _ in range(2)]
    for value, registry in enumerate(registries, start=1):
        Counter("asked", "Told.", ["by"], registry=registry).labels("me").inc(value)
        Gauge("journal_up", "Told.", registry=registry).set(value)
        Gauge("age", "Told.", registry=registry).set(value)

    found = generate_latest(Sum([it.collect for it in registries])).decode().splitlines()

    assert 'asked_total{by="me"} 3.0' in found
    assert "journal_up 1.0" in found
    assert "age 2.0" in found
    assert len([line for line in found if line.startswith("# TYPE asked")]) == 1


def test_each_worker_tells_of_all_journals(publish, tmp_path):
    publish()
    journal = {"JOURNAL": "on", "JOURNAL_URL": f"sqlite:///{tmp_path}/journal.db"}
    with running_workers(tmp_path, **journal) as (url, pid):
        wait_until(lambda: {read(url)["model_loads_total",] for _ in range(9)} == {WORKERS})
        wait_until(lambda: len(find_writers(pid)) == WORKERS)
        stopped, _ = find_writers(pid)
        os.kill(stopped, signal.SIGSTOP)
        try:
            ask(url, 60)
            wait_until(lambda: min(read_lag(url) for _ in range(20)) > 1)
        finally:
            os.kill(stopped, signal.SIGCONT)


def read_lag(url):
    return requests.get(f"{url}/monitoring").json()["journal"]["lag_seconds"]
