"""Tells Prometheus what the live model is, and what it has answered."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import HistogramMetricFamily as Histogram
from prometheus_client.metrics_core import Metric

from features.counts import PROBABILITIES
from instrumentation.instruments import fill, name_buckets
from serving.inference import Model
from serving.live import LiveModel


def expose_live(live: LiveModel) -> Iterator[Metric]:
    """How models have gone live or been refused, and the live one's figures."""
    yield Counter("model_loads", "Models that have gone live.", live.loads)
    said = "Published files refused, by reason."
    refusals = {(reason,): count for reason, count in dict(live.refusals).items()}
    yield fill(Counter("model_refusals", said, labels=["reason"]), refusals)
    said = "Published files that are newer than the live model, and refused."
    yield Gauge("model_refused", said, live.refused_now)
    if live.current:
        yield from _expose_model(live.current, live.since)


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
