"""Tells what this process has counted so far."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from math import isinf

from errors import NoModelPublished
from inference import Model
from instrumentation import Bucket, Instruments
from live import LiveModel
from schemas import CountedPredictions, Monitoring, Quantiles, RouteRequests


def take_snapshot(instruments: Instruments, live: LiveModel) -> Monitoring:
    model = None
    with suppress(NoModelPublished):
        model = live.model()
    return Monitoring(
        model_version=model.version if model else None,
        since=instruments.since,
        requests=_list_requests(instruments),
        predictions=_count_predictions(model) if model else None,
    )


def _list_requests(instruments: Instruments) -> list[RouteRequests]:
    durations = instruments.durations()
    requests = [
        RouteRequests(
            route=route,
            count=sum(by_status.values()),
            by_status={status: count for status, count in sorted(by_status.items()) if count},
            latency_seconds=_find_quantiles(durations[route]),
        )
        for route, by_status in instruments.requests().items()
    ]
    return sorted(requests, key=lambda it: (-it.count, it.route))


def _count_predictions(model: Model) -> CountedPredictions:
    by_class = model.counts.by_class()
    return CountedPredictions(count=sum(by_class.values()), by_class=by_class)


def _find_quantiles(buckets: Sequence[Bucket]) -> Quantiles:
    return Quantiles(
        p50=estimate_quantile(0.5, buckets),
        p90=estimate_quantile(0.9, buckets),
        p99=estimate_quantile(0.99, buckets),
    )


def estimate_quantile(share: float, buckets: Sequence[Bucket]) -> float | None:
    """Linear within the bucket it falls into; in the last one, without a bound, where that begins.

    None of nothing. As https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
    """
    rank = share * buckets[-1][1]
    for (start, below), (end, count) in pairwise([(0.0, 0.0), *buckets]):
        if below < rank <= count:
            return start if isinf(end) else start + (end - start) * (rank - below) / (count - below)
    return None
