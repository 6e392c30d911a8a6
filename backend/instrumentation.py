"""Counts what the service does, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from errors import Reason
from inference import Model


class Instruments:
    """The instruments of one app, in a registry of their own."""

    def __init__(self) -> None:
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

    def live(self, model: Model) -> None:
        self._loads.inc()
        self._info.clear()
        self._info.labels(model.version, model.description.sha256).set(1)

    def refused(self, reason: Reason) -> None:
        self._refusals.labels(reason).inc()
