"""Counts what the service does, for Prometheus."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import accumulate
from time import perf_counter, time

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connections import Connection
from counts import PROBABILITIES
from errors import Reason
from exposition import Source, Sum, Workers
from identifiers import make_identifier
from inference import Model
from logs import Answered, RequestLog, read_request_id, request_id

# Seconds: a prediction takes a tenth of a millisecond, a batch seconds.
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 10)
Bucket = tuple[float, float]  # its upper bound, and how many took no longer

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class Instruments:
    """The instruments of one app, in a registry of their own."""

    def __init__(self, workers: Workers | None = None) -> None:
        self.since = datetime.now(UTC).replace(microsecond=0)
        self.in_flight = 0
        self.admitted = 0  # of those, the ones that take a place from others
        self._workers = workers
        self._model: Model | None = None
        self._live_since = 0.0
        self._refused_now = 0
        self._registry = CollectorRegistry()
        self._loads = Counter(
            "model_loads_total", "Models that have gone live.", registry=self._registry
        )
        self._refusals = Counter(
            "model_refusals_total",
            "Published files refused, by reason.",
            ["reason"],
            registry=self._registry,
        )
        self._requests = Counter(
            "http_requests_total",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._durations = Histogram(
            "http_request_duration_seconds",
            "From a request's headers to the last of its answer.",
            ["route"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        # Plain predictions apart, in whole numbers: a histogram's own take as long as the model.
        self._quick = [0] * (len(BUCKETS) + 1)
        self._quick_seconds = 0.0
        self.own: list[Source] = [self._registry.collect, self._collect_quick, self._collect_own]

    def count_prediction(self, seconds: float) -> None:
        """As count, for the one that has to be quick; on the event loop."""
        self._quick[bisect_left(BUCKETS, seconds)] += 1
        self._quick_seconds += seconds

    def count(self, answered: Answered) -> None:
        method, route, status, seconds, _ = answered
        self._requests.labels(method, route, status).inc()
        self._durations.labels(route).observe(seconds)

    def live(self, model: Model) -> None:
        self._loads.inc()
        self._model, self._live_since = model, time()

    def refused(self, reason: Reason) -> None:
        self._refusals.labels(reason).inc()

    def note_refused(self, count: int) -> None:
        """How many files are newer than the live model and refused."""
        self._refused_now = count

    def everything(self) -> Sum:
        """What all workers have counted."""
        return Sum([*self.own, self._read_others])

    def share(self) -> None:
        """Let the other workers know."""
        if self._workers:
            self._workers.write(Sum(self.own).collect(), self._version())

    def requests(self) -> dict[str, dict[str, int]]:
        """By route, how many had which status."""
        found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for _, labels, value, *_ in self.everything().samples("http_requests"):
            found[labels["route"]][labels["status"]] += int(value)
        return found

    def durations(self) -> dict[str, list[Bucket]]:
        """By route, the buckets from the lowest bound to infinity."""
        found: dict[str, list[Bucket]] = defaultdict(list)
        for name, labels, value, *_ in self.everything().samples("http_request_duration_seconds"):
            if name.endswith("_bucket"):
                found[labels["route"]].append((float(labels["le"]), value))
        return found

    def by_class(self, model: Model) -> dict[str, int]:
        """Rows that workers have answered by this model."""
        found = self.everything().samples("model_predictions")
        counts = {it.labels["class"]: int(it.value) for it in found}
        return {name: counts.get(name, 0) for name in model.classes}

    def _version(self) -> str | None:
        return self._model.version if self._model else None

    def _read_others(self) -> Iterable[Metric]:
        return self._workers.read_others(self._version()) if self._workers else ()

    def _collect_quick(self) -> Iterator[Metric]:
        counts, seconds = list(self._quick), self._quick_seconds
        labels = ["POST", "/predict", "200"]
        requests = CounterMetricFamily("http_requests", "", labels=["method", "route", "status"])
        requests.add_metric(labels, sum(counts))
        durations = HistogramMetricFamily("http_request_duration_seconds", "", labels=["route"])
        durations.add_metric(["/predict"], _name_buckets(BUCKETS, counts), seconds)
        yield requests
        yield durations

    def _collect_own(self) -> Iterator[Metric]:
        in_flight = "Requests that are being answered."
        yield GaugeMetricFamily("http_requests_in_flight", in_flight, self.in_flight)
        slow = "Connections cut because requests came too slowly."
        yield CounterMetricFamily("http_slow_connections", slow, Connection.cut)
        newer = "Published files that are newer than the live model, and refused."
        yield GaugeMetricFamily("model_refused", newer, self._refused_now)
        if self._model:
            yield from _describe(self._model, self._live_since)


def _describe(model: Model, live_since: float) -> Iterator[Metric]:
    info = GaugeMetricFamily(
        "model_info", "1 for the live model.", labels=["version", "sha256", "engine"]
    )
    info.add_metric([model.version, model.description.sha256, model.serving.name], 1)
    yield info
    created = model.description.created_at.timestamp()
    said = "When the live model was published."
    yield GaugeMetricFamily("model_created_timestamp_seconds", said, created)
    said = "When this process took the live model up."
    yield GaugeMetricFamily("model_live_since_timestamp_seconds", said, live_since)
    predictions = CounterMetricFamily(
        "model_predictions", "Rows answered by the live model, by class.", labels=["class"]
    )
    for name, count in model.counts.by_class().items():
        predictions.add_metric([name], count)
    yield predictions
    counts, total = model.counts.by_probability()
    said = "The probability of the class that was predicted."
    buckets = _name_buckets(PROBABILITIES, counts)
    yield HistogramMetricFamily("model_prediction_probability", said, buckets, total)


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
            answered = Answered(method, route, status, seconds, identifier)
            self._instruments.count(answered)
            self._log.write(answered)
