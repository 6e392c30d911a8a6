import logging
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from conftest import SETOSA
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from processes import environment, find_free_port, wait_until

from instrumentation import tracing
from instrumentation.tracing import trace

EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SERVED = """
from instrumentation import tracing
from fastapi import FastAPI

tracing.FLUSH_SECONDS = 0.5
app = tracing.trace(FastAPI())
"""


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/traces":
            self.server.bodies.append(body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


class Collector(ThreadingHTTPServer):
    """A real one, that keeps what it is sent."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def resources(self):
        sent = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [resource for it in sent for resource in it.resource_spans]

    def spans(self):
        return [span for it in self.resources() for scope in it.scope_spans for span in scope.spans]

    def wait_for_spans(self, number=1):
        wait_until(lambda: len(self.spans()) >= number)
        return self.spans()


@pytest.fixture
def collector(monkeypatch):
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    with Collector() as it:
        monkeypatch.setenv(ENDPOINT, it.url)
        threading.Thread(target=it.serve_forever).start()
        yield it
        it.shutdown()


@pytest.fixture
def traced(client, collector):  # noqa: ARG001  its address is in the environment
    """A client of an app with a live model, whose traces the collector gets."""
    traced = TestClient(trace(client.app), raise_server_exceptions=False)
    traced.app_state.update(client.app_state)  # of a lifespan that has begun
    return traced


def attributes(it):
    values = {found.key: found.value for found in it.attributes}
    return {key: getattr(value, value.WhichOneof("value")) for key, value in values.items()}


def test_a_prediction_is_one_span_that_goes_on_from_that_of_the_caller(traced, collector):
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    assert traced.post("/predict", json=SETOSA, headers=headers).status_code == 200

    [span] = collector.wait_for_spans()
    assert (span.name, span.kind) == ("POST /predict", Span.SPAN_KIND_SERVER)
    assert attributes(span)["http.route"] == "/predict"
    assert attributes(span)["http.response.status_code"] == 200
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)


def test_no_span_says_what_an_instance_says(traced, collector):
    unusual = SETOSA | {"sepal_length": 5.4321, "petal_width": "seven"}

    assert traced.post("/predict?petal_length=1.2345", json=unusual).status_code == 422
    traced.post("/predict", json=SETOSA | {"sepal_length": 5.4321})

    collector.wait_for_spans(2)
    for value in (b"5.4321", b"1.2345", b"seven"):
        assert value not in b"".join(collector.bodies)


def test_spans_are_named_by_routes_and_what_a_caller_chooses_is_kept_short(traced, collector):
    for path in ("/metrics", "/", "/health/live", "/health/ready", "/v2/health/live"):
        assert traced.get(path).status_code == 200  # which is not traced
    for path in ("/models/2026_01_01_T00_00_00", "/" + "x" * 1000):
        traced.get(path)
    traced.request("GUESS", "/models")

    spans = collector.wait_for_spans(3)
    assert [span.name for span in spans] == ["GET /models/{version}", "GET", "HTTP /models"]
    assert len(attributes(spans[1])["url.path"]) == 256


def test_what_an_app_raises_is_raised_and_not_told(collector):
    async def app(*_):
        raise ValueError("sepal_length is 5.4321")

    with pytest.raises(ValueError, match=r"5\.4321"):
        TestClient(trace(app)).get("/models")

    [span] = collector.wait_for_spans()
    assert attributes(span)["error.type"] == "ValueError"
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert b"5.4321" not in b"".join(collector.bodies)


@pytest.mark.parametrize("variable", ["", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME"])
def test_the_service_has_a_name_unless_given_one(client, collector, monkeypatch, variable):
    if variable:
        monkeypatch.setenv(variable, "ours" if "NAME" in variable else "service.name=ours")

    TestClient(trace(client.app)).get("/models")

    collector.wait_for_spans()
    name = attributes(collector.resources()[0].resource)["service.name"]
    assert name == ("ours" if variable else "iris-ml-backend")


def test_without_a_collector_the_app_is_left_alone(client, monkeypatch):
    assert trace(client.app) is client.app
    monkeypatch.setenv(ENDPOINT, "")
    assert trace(client.app) is client.app


def test_without_the_packages_the_app_is_left_alone_with_a_warning(monkeypatch, caplog):
    monkeypatch.setenv(ENDPOINT, "http://localhost:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.asgi", None)

    app = object()

    assert trace(app) is app
    [warning] = caplog.messages
    assert "requirements-tracing.txt" in warning
    assert "--build-arg TRACING=1" in warning


def test_a_collector_that_is_away_costs_a_line(client, monkeypatch, caplog):
    monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{find_free_port()}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    monkeypatch.setattr(tracing._seldom, "_quiet_until", 0)
    traced = TestClient(trace(client.app))

    with caplog.at_level(logging.WARNING):
        for _ in range(20):
            assert traced.post("/predict", json=SETOSA).status_code == 200
        wait_until(lambda: caplog.records)
        logging.getLogger(EXPORTER).warning("the next attempt")

    assert len(caplog.records) == 1


@pytest.fixture
def serve(tmp_path):
    """Start a process whose requests are traced, but sent only at its end; has answered one."""
    (tmp_path / "served.py").write_text(SERVED)

    @contextmanager
    def start(collector_url):
        port = find_free_port()
        command = [sys.executable, "-m", "uvicorn", "served:app", "--port", str(port)]
        variables = {"OTEL_BSP_SCHEDULE_DELAY": 600_000, "OTEL_EXPORTER_OTLP_TIMEOUT": 600}
        variables[ENDPOINT] = collector_url
        variables["PYTHONPATH"] = f"{tmp_path}:{Path(tracing.__file__).parent}"
        with subprocess.Popen(command, env=environment(**variables)) as process:
            wait_until(lambda: requests.get(f"http://127.0.0.1:{port}/docs", timeout=5).ok)
            yield process

    return start


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_what_is_not_sent_yet_is_sent_at_the_end(collector, serve, ending):
    with serve(collector.url) as process:
        process.send_signal(ending)
        process.wait(20)

    assert len(collector.spans()) == 1


def test_a_collector_that_does_not_answer_holds_up_no_end(serve):
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        serve(f"http://127.0.0.1:{silent.getsockname()[1]}") as process,
    ):
        process.terminate()

        process.wait(60)  # much less than the exporter waits
