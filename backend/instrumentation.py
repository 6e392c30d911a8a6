"""Counts what the service does, for Prometheus."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from errors import Reason
from inference import Model

# Seconds: a prediction takes a tenth of a millisecond, a batch seconds.
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 10)
Bucket = tuple[float, float]  # its upper bound, and how many took no longer

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class Instruments:
    """The instruments of one app, in a registry of their own."""

    def __init__(self) -> None:
        self.since = datetime.now(UTC).replace(microsecond=0)
        self.registry = CollectorRegistry()
        self._loads = Counter(
            "model_loads_total", "Models that have gone live.", registry=self.registry
        )
        self._refusals = Counter(
            "model_refusals_total",
            "Published files refused, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self._info = Gauge(
            "model_info", "1 for the live model.", ["version", "sha256"], registry=self.registry
        )
        self._requests = Counter(
            "http_requests_total",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._durations = Histogram(
            "http_request_duration_seconds",
            "From a request's headers to the last of its answer.",
            ["route"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._predictions = PredictionsCollector()
        self.registry.register(self._predictions)
        self._predicted = self._requests.labels("POST", "/predict", "200")
        self._predicting = self._durations.labels("/predict")

    def count_prediction(self, seconds: float) -> None:
        """As count, for the one that has to be quick."""
        self._predicted.inc()
        self._predicting.observe(seconds)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests.labels(method if method in METHODS else "other", route, status).inc()
        self._durations.labels(route).observe(seconds)

    def live(self, model: Model) -> None:
        self._loads.inc()
        self._info.clear()
        self._info.labels(model.version, model.description.sha256).set(1)
        self._predictions.model = model

    def refused(self, reason: Reason) -> None:
        self._refusals.labels(reason).inc()

    def requests(self) -> dict[str, dict[str, int]]:
        """By route, how many had which status."""
        found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for name, labels, value, *_ in _samples(self._requests):
            if name.endswith("_total"):
                found[labels["route"]][labels["status"]] += int(value)
        return found

    def durations(self) -> dict[str, list[Bucket]]:
        """By route, the buckets from the lowest bound to infinity."""
        found: dict[str, list[Bucket]] = defaultdict(list)
        for name, labels, value, *_ in _samples(self._durations):
            if name.endswith("_bucket"):
                found[labels["route"]].append((float(labels["le"]), value))
        return found


class PredictionsCollector(Collector):
    """Exposes the live model's own counts, so that they are kept once and go with it."""

    model: Model | None = None

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "model_predictions", "Rows answered by the live model, by class.", labels=["class"]
        )
        for name, count in self.model.counts.by_class().items() if self.model else ():
            family.add_metric([name], count)
        yield family


def _samples(instrument: Counter | Histogram) -> list[Sample]:
    return [sample for metric in instrument.collect() for sample in metric.samples]


class Instrumented:
    """An ASGI app whose requests are counted."""

    def __init__(self, app: ASGIApp, instruments: Instruments) -> None:
        self._app = app
        self._count = instruments.count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = perf_counter(), 500

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            # The path of a route, not of a request: anyone can ask for any number of those.
            route = getattr(scope.get("route"), "path", "none")
            self._count(scope["method"], route, status, perf_counter() - started)
