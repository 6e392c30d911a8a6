"""Tells what the service has counted so far."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import isinf

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from inference import Model
from instrumentation import Bucket, Instruments
from journal.reading import Report
from journal.recorder import Recorder
from reports import (
    CountedPredictions,
    DriftWindow,
    JournalState,
    Monitoring,
    Quantiles,
    RouteRequests,
    ShadowReport,
)

SHOWN_WINDOW = "day"  # in the metrics, which have one


def take_snapshot(
    instruments: Instruments, model: Model | None, recorder: Recorder | None, report: Report
) -> Monitoring:
    """`report` is the journal's of the model."""
    return Monitoring(
        model_version=model.version if model else None,
        since=instruments.since,
        requests=_list_requests(instruments),
        predictions=_count_predictions(instruments, model) if model else None,
        journal=_tell_journal(instruments, recorder.trouble or report.trouble)
        if recorder
        else None,
        drift=report.drift,
        accuracy=report.accuracy,
        shadow=report.shadow,
    )


def expose_report(report: Report) -> Iterator[Metric]:
    """What the journal says, for Prometheus."""
    for window in report.drift.windows if report.drift else ():
        if window.window == SHOWN_WINDOW:
            yield from _expose_drift(window)
    if report.accuracy:
        live = report.accuracy.versions[0]
        said = "Predictions of the live version that have labels."
        yield GaugeMetricFamily("model_labelled_predictions", said, live.count)
        said = "The share of them that was right."
        yield from _expose("model_accuracy_ratio", said, live.accuracy)
    if report.shadow:
        yield from _expose_shadow(report.shadow)


def expose_recorder(recorder: Recorder) -> Iterator[Metric]:
    """How the journal keeps up, for Prometheus."""
    said = "The age of the oldest prediction that is not written yet."
    yield GaugeMetricFamily("journal_lag_seconds", said, recorder.lag_seconds)
    said = "1 where what was last to be written is."
    yield GaugeMetricFamily("journal_up", said, recorder.trouble is None)
    said = "Predictions that are written, the rows of tables among them."
    yield CounterMetricFamily("journal_written_predictions", said, recorder.written)
    said = "Predictions that never will be written."
    yield CounterMetricFamily("journal_lost_predictions", said, recorder.lost)


def _expose_drift(window: DriftWindow) -> Iterator[Metric]:
    psi = GaugeMetricFamily(
        "model_feature_psi", "Drift over the last day, by feature.", labels=["feature"]
    )
    shifted = GaugeMetricFamily(
        "model_feature_shifted", "1 where it is a shift.", labels=["feature"]
    )
    for it in window.features:
        if it.psi is not None:
            psi.add_metric([it.feature], it.psi)
            shifted.add_metric([it.feature], it.verdict == "shifted")
    yield psi
    yield shifted
    yield from _expose("model_class_psi", "Drift of the predicted classes.", window.classes.psi)
    said = "Rows answered over the last day."
    yield GaugeMetricFamily("model_drift_rows", said, window.rows)


def _expose_shadow(shadow: ShadowReport) -> Iterator[Metric]:
    said = "Predictions that the shadow answered too."
    yield GaugeMetricFamily("shadow_answers", said, shadow.answered)
    said = "The share of them in which both agree."
    yield from _expose("shadow_agreement_ratio", said, shadow.agreement)
    said = "The share of the shadow's answers to labelled predictions that was right."
    yield from _expose("shadow_accuracy_ratio", said, shadow.accuracy)


def _expose(name: str, said: str, value: float | None) -> Iterator[Metric]:
    if value is not None:
        yield GaugeMetricFamily(name, said, value)


def _tell_journal(instruments: Instruments, trouble: str | None) -> JournalState:
    """Of all workers' journals, with the trouble of this one's where there is any."""
    everything = instruments.everything()
    [lag], [lost], [is_up] = (
        everything.samples(name)
        for name in ("journal_lag_seconds", "journal_lost_predictions", "journal_up")
    )
    if not is_up.value:
        trouble = trouble or "Another worker's is not written; the log says why."
    return JournalState(lag_seconds=lag.value, lost=int(lost.value), trouble=trouble)


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


def _count_predictions(instruments: Instruments, model: Model) -> CountedPredictions:
    by_class = instruments.by_class(model)
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
