"""Tells Prometheus about the live model: its answers, and what the journal says of it."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import HistogramMetricFamily as Histogram
from prometheus_client.metrics_core import Metric

from features.counts import PROBABILITIES
from instrumentation.instruments import fill, name_buckets
from monitoring.reports import DriftWindow, Report, ShadowReport
from serving.inference import Model
from serving.live import LiveModel

SHOWN_WINDOW = "day"  # in the metrics, which have one


def expose_live(live: LiveModel) -> Iterator[Metric]:
    """How models have gone live or been refused, and the live one's figures."""
    yield Counter("model_loads", "Models that have gone live.", live.loads)
    said = "Published files refused, by reason."
    refusals = {(reason,): count for reason, count in dict(live.refusals).items()}
    yield fill(Counter("model_refusals", said, labels=["reason"]), refusals)
    said = "Published files that are newer than the live model, and refused."
    yield Gauge("model_refused", said, live.refused_now)
    if model := live.current:  # once: it may be replaced between two looks
        yield from _expose_model(model, live.since)


def _expose_model(model: Model, since: float) -> Iterator[Metric]:
    info = Gauge("model_info", "1 for the live model.", labels=["version", "sha256", "engine"])
    yield fill(info, {(model.version, model.description.sha256, model.serving.name): 1})
    created = model.description.created_at.timestamp()
    said = "When the live model was published."
    yield Gauge("model_created_timestamp_seconds", said, created)
    said = "When this process took the live model up."
    yield Gauge("model_live_since_timestamp_seconds", said, since)
    said = "Rows answered by the live model, by class."
    by_class = {(name,): count for name, count in model.counts.by_class().items()}
    yield fill(Counter("model_predictions", said, labels=["class"]), by_class)
    counts, total = model.counts.by_probability()
    said = "The probability of the class that was predicted."
    buckets = name_buckets(PROBABILITIES, counts)
    yield Histogram("model_prediction_probability", said, buckets, total)


def expose_report(report: Report) -> Iterator[Metric]:
    """What the journal says, for Prometheus."""
    for window in report.drift.windows if report.drift else ():
        if window.window == SHOWN_WINDOW:
            yield from _expose_drift(window)
    if report.accuracy:
        live = report.accuracy.versions[0]
        said = "Predictions of the live version that have labels."
        yield Gauge("model_labelled_predictions", said, live.count)
        said = "The share of them that was right."
        yield from _expose("model_accuracy_ratio", said, live.accuracy)
    if report.shadow:
        yield from _expose_shadow(report.shadow)


def _expose_drift(window: DriftWindow) -> Iterator[Metric]:
    psi = Gauge("model_feature_psi", "Drift over the last day, by feature.", labels=["feature"])
    shifted = Gauge("model_feature_shifted", "1 where it is a shift.", labels=["feature"])
    for found in window.features:
        if found.psi is not None:
            psi.add_metric([found.feature], found.psi)
            shifted.add_metric([found.feature], found.verdict == "shifted")
    yield psi
    yield shifted
    yield from _expose("model_class_psi", "Drift of the predicted classes.", window.classes.psi)
    said = "Rows answered over the last day."
    yield Gauge("model_drift_rows", said, window.rows)


def _expose_shadow(shadow: ShadowReport) -> Iterator[Metric]:
    said = "Predictions that the shadow answered too."
    yield Gauge("shadow_answers", said, shadow.answered)
    said = "The share of them in which both agree."
    yield from _expose("shadow_agreement_ratio", said, shadow.agreement)
    said = "The share of the shadow's answers to labelled predictions that was right."
    yield from _expose("shadow_accuracy_ratio", said, shadow.accuracy)


def _expose(name: str, said: str, value: float | None) -> Iterator[Metric]:
    if value is not None:
        yield Gauge(name, said, value)
