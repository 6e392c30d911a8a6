"""Tells what the service has counted so far."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isinf

from prometheus_client.samples import Sample

from instrumentation.instruments import Instruments
from monitoring.reports import (
    CountedPredictions,
    JournalState,
    Monitoring,
    Quantiles,
    Report,
    RouteRequests,
)
from serving.inference import Model

Bucket = tuple[float, float]  # its upper bound, and how many took no longer
Told = Mapping[str, Sequence[Sample]]  # by the name of their family


def take_snapshot(instruments: Instruments, model: Model | None, report: Report) -> Monitoring:
    """`report` is the journal's of the model."""
    version = model.version if model else None
    told = {family.name: family.samples for family in instruments.everything(version).collect()}
    return Monitoring(
        model_version=version,
        since=instruments.since,
        requests=_list_requests(told),
        predictions=_count_predictions(told, model) if model else None,
        journal=_tell_journal(told, report.trouble) if "journal_up" in told else None,
        drift=report.drift,
        accuracy=report.accuracy,
        shadow=report.shadow,
    )


def _tell_journal(told: Told, trouble: str | None) -> JournalState:
    """Sum up all workers' journals; `trouble` is that of this worker's."""
    names = ("journal_lag_seconds", "journal_lost_predictions", "journal_up")
    lag, lost, is_up = (told[name][0].value for name in names)
    if not is_up:
        trouble = trouble or "Another worker's is not written; the log says why."
    return JournalState(lag_seconds=lag, lost=int(lost), trouble=trouble)


def _list_requests(told: Told) -> list[RouteRequests]:
    by_status: dict[str, Counter[str]] = defaultdict(Counter)
    for sample in told["http_requests"]:
        labels = sample.labels
        by_status[labels["route"]][labels["status"]] += int(sample.value)
    buckets: dict[str, list[Bucket]] = defaultdict(list)
    for sample in told["http_request_duration_seconds"]:
        labels = sample.labels
        if "le" in labels:
            buckets[labels["route"]].append((float(labels["le"]), sample.value))
    requests = [
        RouteRequests(
            route=route,
            count=counts.total(),
            by_status={status: count for status, count in sorted(counts.items()) if count},
            latency_seconds=_find_quantiles(buckets[route]),
        )
        for route, counts in by_status.items()
    ]
    return sorted(requests, key=lambda asked: (-asked.count, asked.route))


def _count_predictions(told: Told, model: Model) -> CountedPredictions:
    samples = told.get("model_predictions", ())
    counts = {sample.labels["class"]: int(sample.value) for sample in samples}
    by_class = {name: counts.get(name, 0) for name in model.classes}
    return CountedPredictions(count=sum(by_class.values()), by_class=by_class)


def _find_quantiles(buckets: Sequence[Bucket]) -> Quantiles:
    p50, p90, p99 = (estimate_quantile(share, buckets) for share in (0.5, 0.9, 0.99))
    return Quantiles(p50=p50, p90=p90, p99=p99)


def estimate_quantile(share: float, buckets: Sequence[Bucket]) -> float | None:
    """Linear within the bucket it falls into; in the last one, without a bound, where that begins.

    None of nothing. As https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
    """
    rank = share * buckets[-1][1]
    for (start, below), (end, count) in pairwise([(0.0, 0.0), *buckets]):
        if below < rank <= count:
            return start if isinf(end) else start + (end - start) * (rank - below) / (count - below)
    return None
