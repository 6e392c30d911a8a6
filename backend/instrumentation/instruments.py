"""Counts what the service does, for Prometheus."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import accumulate
from time import perf_counter, time
from typing import Any

from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import HistogramMetricFamily as Histogram
from prometheus_client.metrics_core import Metric
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from errors import Reason
from features.counts import PROBABILITIES
from instrumentation.exposition import Source, Sum, Workers
from instrumentation.identifiers import make_identifier
from instrumentation.logs import Answered, RequestLog, read_request_id, request_id
from serving.inference import Model
from web.connections import Connection

# Seconds: a prediction takes a tenth of a millisecond, a batch seconds.
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 10)

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class Durations:
    """Durations by bucket, and their sum. Prometheus's own take as long as the model."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds


class Instruments:
    """The counts of one app."""

    def __init__(self, workers: Workers | None = None) -> None:
        self.since = datetime.now(UTC).replace(microsecond=0)
        self.in_flight = 0
        self.admitted = 0  # of those, the ones that take a place from others
        self.refused_now = 0  # files that are newer than the live model
        self._workers = workers
        self._model: Model | None = None
        self._live_since = 0.0
        self._loads = 0
        self._refusals: dict[tuple[Reason], int] = defaultdict(int)
        self._requests = defaultdict(int, {("POST", "/predict", 200): 0})
        self._durations = defaultdict(Durations, {"/predict": Durations()})
        self.own: list[Source] = [self._collect_requests, self._collect_models]

    def count(self, answered: Answered) -> None:
        """Call this on the event loop."""
        method, route, status, seconds, _, _ = answered
        self._requests[method, route, status] += 1
        self._durations[route].add(seconds)

    def live(self, model: Model) -> None:
        self._loads += 1
        self._model, self._live_since = model, time()

    def refused(self, reason: Reason) -> None:
        self._refusals[reason,] += 1

    def everything(self) -> Sum:
        """What all workers have counted."""
        return Sum([*self.own, self._read_others])

    def share(self) -> None:
        """Let the other workers know."""
        if self._workers:
            self._workers.write(Sum(self.own).collect(), self._version())

    def _version(self) -> str | None:
        return self._model.version if self._model else None

    def _read_others(self) -> Iterable[Metric]:
        return self._workers.read_others(self._version()) if self._workers else ()

    def _collect_requests(self) -> Iterator[Metric]:
        labels = ["method", "route", "status"]
        yield _fill(Counter("http_requests", "Requests answered.", labels=labels), self._requests)
        said = "From a request's headers to the last of its answer."
        durations = Histogram("http_request_duration_seconds", said, labels=["route"])
        for route, it in dict(self._durations).items():
            durations.add_metric([route], _name_buckets(BUCKETS, it.counts), it.seconds)
        yield durations
        said = "Requests that are being answered."
        yield Gauge("http_requests_in_flight", said, self.in_flight)
        said = "Connections cut because requests came too slowly."
        yield Counter("http_slow_connections", said, Connection.cut)

    def _collect_models(self) -> Iterator[Metric]:
        yield Counter("model_loads", "Models that have gone live.", self._loads)
        said = "Published files refused, by reason."
        yield _fill(Counter("model_refusals", said, labels=["reason"]), self._refusals)
        said = "Published files that are newer than the live model, and refused."
        yield Gauge("model_refused", said, self.refused_now)
        if self._model:
            yield from _describe(self._model, self._live_since)


def _describe(model: Model, live_since: float) -> Iterator[Metric]:
    info = Gauge("model_info", "1 for the live model.", labels=["version", "sha256", "engine"])
    yield _fill(info, {(model.version, model.description.sha256, model.serving.name): 1})
    created = model.description.created_at.timestamp()
    said = "When the live model was published."
    yield Gauge("model_created_timestamp_seconds", said, created)
    said = "When this process took the live model up."
    yield Gauge("model_live_since_timestamp_seconds", said, live_since)
    said = "Rows answered by the live model, by class."
    by_class = {(name,): count for name, count in model.counts.by_class().items()}
    yield _fill(Counter("model_predictions", said, labels=["class"]), by_class)
    counts, total = model.counts.by_probability()
    said = "The probability of the class that was predicted."
    buckets = _name_buckets(PROBABILITIES, counts)
    yield Histogram("model_prediction_probability", said, buckets, total)


def _fill(family: Counter | Gauge, values: Mapping[Any, float]) -> Metric:
    """Has a series for each tuple of labels; other threads may add some meanwhile."""
    for labels, value in dict(values).items():
        family.add_metric(list(map(str, labels)), value)
    return family


def _name_buckets(bounds: Iterable[float], counts: Iterable[int]) -> list[tuple[str, float]]:
    """As Prometheus has them: each with all that is in the lower ones."""
    names = [*map(str, map(float, bounds)), "+Inf"]
    return list(zip(names, accumulate(counts), strict=True))


class Instrumented:
    """An ASGI app whose requests are counted, logged, and called by an id."""

    def __init__(self, app: ASGIApp, instruments: Instruments, log: RequestLog) -> None:
        self._app = app
        self._instruments = instruments
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = perf_counter(), 500
        identifier = read_request_id(dict(scope["headers"]).get(b"x-request-id"))
        identifier = identifier or make_identifier()
        request_id.set(identifier)

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", identifier.encode()),
                ]
            await send(message)

        self._instruments.in_flight += 1
        try:
            await self._app(scope, receive, note)
        finally:
            self._instruments.in_flight -= 1
            # The path of a route, not of a request: anyone can ask for any number of those.
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in METHODS else "other"
            seconds = perf_counter() - started
            answered = (method, route, status, seconds, identifier, time())
            self._instruments.count(answered)
            self._log.write([answered])
