"""Counts requests, for Prometheus."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate
from typing import Any

from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import HistogramMetricFamily as Histogram
from prometheus_client.metrics_core import Metric

from instrumentation.aggregation import Source, Sum, Workers
from instrumentation.logs import Answered

# Seconds: a prediction takes a tenth of a millisecond, a batch seconds.
BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 10)


class Durations:
    """Durations by bucket, and their sum. Prometheus's own take as long as the model."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds


class Instruments:
    """The counts of one app's requests, and the sources of all that it counts."""

    def __init__(self, workers: Workers | None = None) -> None:
        self.since = datetime.now(UTC).replace(microsecond=0)
        self.in_flight = 0
        self.slow_connections = 0
        self._workers = workers
        self._requests = defaultdict(int, {("POST", "/predict", 200): 0})
        self._durations = defaultdict(Durations, {"/predict": Durations()})
        self.own: list[Source] = [self._collect]

    def count(self, answered: Answered) -> None:
        """Call this on the event loop."""
        method, route, status, seconds, _, _ = answered
        self._requests[method, route, status] += 1
        self._durations[route].add(seconds)

    def everything(self, version: str | None) -> Sum:
        """Sum up all workers; the model's counts are those of workers that serve this version."""
        others = self._workers.read_others if self._workers else lambda _: ()
        return Sum([*self.own, partial(others, version)])

    def share(self, version: str | None) -> None:
        """Let the other workers know."""
        if self._workers:
            self._workers.write(Sum(self.own).collect(), version)

    def _collect(self) -> Iterator[Metric]:
        labels = ["method", "route", "status"]
        yield fill(Counter("http_requests", "Requests answered.", labels=labels), self._requests)
        said = "From a request's headers to the last of its answer."
        durations = Histogram("http_request_duration_seconds", said, labels=["route"])
        for route, of_route in dict(self._durations).items():
            buckets = name_buckets(BUCKETS, of_route.counts)
            durations.add_metric([route], buckets, of_route.seconds)
        yield durations
        said = "Requests that are being answered."
        yield Gauge("http_requests_in_flight", said, self.in_flight)
        said = "Connections cut because requests came too slowly."
        yield Counter("http_slow_connections", said, self.slow_connections)


def fill(family: Counter | Gauge, values: Mapping[Any, float]) -> Metric:
    """Has a series for each tuple of labels; other threads may add some meanwhile."""
    for labels, value in dict(values).items():
        family.add_metric(list(map(str, labels)), value)
    return family


def name_buckets(bounds: Iterable[float], counts: Iterable[int]) -> list[tuple[str, float]]:
    """Name buckets cumulatively, as Prometheus does."""
    names = [*map(str, map(float, bounds)), "+Inf"]
    return list(zip(names, accumulate(counts), strict=True))
