import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace

import pytest
import requests
from conftest import SETOSA, VERSION, journal_in, publish_in, running_server
from processes import list_processes, wait_until
from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.parser import text_string_to_metric_families

from instrumentation.aggregation import Sum, Workers
from instrumentation.instruments import Instruments

WORKERS = 2
ASKED = ("http_requests_total", "POST", "/predict", "200")


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """The address and the process of a real backend of two workers with a journal."""
    folder = tmp_path_factory.mktemp("models")
    publish_in(folder)
    variables = {name.upper(): value for name, value in journal_in(folder).items()}
    variables |= {"WEB_CONCURRENCY": WORKERS, "TMPDIR": folder}
    with running_server(folder, **variables) as (url, process):
        wait_until(lambda: read(url)["model_loads_total",] == WORKERS)
        yield SimpleNamespace(url=url, pid=process.pid, folder=folder, asked=0)


def find(parent, what):
    """The numbers of its processes that have this in their command lines."""
    return [it for it, command in list_processes(parent) if what in command]


def read(url):
    return parse(requests.get(f"{url}/metrics").text)


def parse(text):
    """Values by name and labels."""
    return {
        (sample.name, *(label for _, label in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def ask(workers, count):
    """By connections of their own, so that both workers are asked."""
    url = f"{workers.url}/predict"
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(lambda _: requests.post(url, json=SETOSA), range(count))
        assert {answer.status_code for answer in answers} == {200}
    workers.asked += count


def read_least_lag(url):
    told = (requests.get(f"{url}/monitoring").json()["journal"] for _ in range(12))
    return min(journal["lag_seconds"] for journal in told)


def read_shared(workers):
    """The counts that workers have shared by now; a killed one leaves its own behind."""
    [folder] = workers.folder.glob("iris-ml-*")
    told = Sum([partial(Workers(folder).read_others, VERSION)])
    return parse(generate_latest(told).decode())


def test_several_workers_are_counted_as_one(workers):
    ask(workers, 60)
    wait_until(lambda: read_shared(workers)[ASKED] == workers.asked)

    found = read(workers.url)

    assert found[ASKED] == workers.asked
    assert found["model_predictions_total", "setosa"] == workers.asked
    assert found["model_prediction_probability_count",] == workers.asked
    assert found["http_request_duration_seconds_count", "/predict"] == workers.asked
    assert found["model_loads_total",] == WORKERS
    assert found["http_requests_in_flight",] >= 1  # this one
    assert sum(value for name, value in found.items() if name[0] == "model_info") == 1
    shown = requests.get(f"{workers.url}/monitoring").json()["predictions"]
    assert shown["by_class"]["setosa"] == workers.asked


def test_each_worker_tells_of_all_journals(workers):
    wait_until(lambda: len(find(workers.pid, "journal.writer")) == WORKERS)
    stopped, _ = find(workers.pid, "journal.writer")
    os.kill(stopped, signal.SIGSTOP)
    try:
        # The worker whose writer is stopped has to be asked, too.
        wait_until(lambda: ask(workers, 8) or read_least_lag(workers.url) > 1)
    finally:
        os.kill(stopped, signal.SIGCONT)


def test_what_a_killed_worker_has_counted_stays_counted(workers):
    ask(workers, 60)
    wait_until(lambda: read_shared(workers)[ASKED] == workers.asked)
    loads = read_shared(workers)["model_loads_total",]

    killed = find(workers.pid, "spawn_main")[0]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: len(set(find(workers.pid, "spawn_main")) - {killed}) == WORKERS)

    wait_until(lambda: read(workers.url)["model_loads_total",] == loads + 1)
    assert read(workers.url)[ASKED] == workers.asked


@pytest.fixture
def two(tmp_path):
    """Instruments that share a folder, as those of two workers do."""
    return [Instruments(Workers(tmp_path)) for _ in range(2)]


def exposed(instruments):
    return parse(generate_latest(instruments.everything(None)).decode())


def test_counters_and_histograms_are_added_up(two):
    one, other = two
    one.count(("GET", "/models", 200, 0.001, "", 0))
    for status in (200, 404):
        other.count(("GET", "/models", status, 0.3, "", 0))
    other.share(None)

    found = exposed(one)
    assert found["http_requests_total", "GET", "/models", "200"] == 2
    assert found["http_requests_total", "GET", "/models", "404"] == 1
    assert found["http_request_duration_seconds_bucket", "0.001", "/models"] == 1
    assert found["http_request_duration_seconds_count", "/models"] == 3
    assert found["http_request_duration_seconds_sum", "/models"] == pytest.approx(0.601)


def test_requests_in_flight_are_added_up_while_their_worker_lives(two, tmp_path):
    one, other = two
    one.in_flight, other.in_flight = 1, 2
    other.share(None)
    [file] = tmp_path.glob("*.json")
    (tmp_path / "1.tmp").write_text(file.read_text()[:20])  # half written, it is none
    assert exposed(one)["http_requests_in_flight",] == 3
    assert json.loads(file.read_text())["version"] is None

    file.rename(tmp_path / "999999999-dead.json")

    assert exposed(one)["http_requests_in_flight",] == 1


def test_gauges_are_the_largest_and_all_journals_have_to_be_up():
    sources = [lambda n=n: [Gauge("journal_up", "", n), Gauge("age", "", n)] for n in (1, 2)]

    found = parse(generate_latest(Sum(sources)).decode())

    assert (found["journal_up",], found["age",]) == (1, 2)
