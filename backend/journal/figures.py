"""Tells what the journal says of the live model."""

from itertools import product
from threading import Lock
from time import monotonic, time

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from journal.database import Database, say, tallies
from journal.feedback import Feedback
from journal.tally import COARSE, FINE, NO_SHADOWED, Period, Tally
from monitoring.drift import MIN_ROWS, compare_classes, compare_feature
from monitoring.reports import (
    Accuracies,
    Drift,
    DriftWindow,
    Report,
    ShadowReport,
    WindowName,
    divide,
)
from serving.inference import Model

FRESH_SECONDS = 2.0  # the page, Prometheus and people may all ask at once

HOUR, DAY = 3600, 86_400


class Figures:
    """The figures of one version, read no more often than they change."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._feedback = Feedback(database)
        self._lock = Lock()
        self._known: tuple[Model, float, Report] | None = None

    def report(self, model: Model) -> Report:
        """Call this from any thread; callers at the same time share one answer."""
        with self._lock:
            if self._known and self._known[0] is model and monotonic() < self._known[1]:
                return self._known[2]
            report = self._measure(model)
            self._known = (model, monotonic() + FRESH_SECONDS, report)
            return report

    def _measure(self, model: Model) -> Report:
        try:
            windows = self._sum_windows(model)
            shadow = self._find_shadow(model, windows)
            accuracy = Accuracies(versions=self._feedback.measure(model.version))
        except (SQLAlchemyError, OSError) as error:
            return Report(trouble=f"The journal cannot be read: {say(error)}")
        compared = [_compare_window(model, name, tally) for name, tally in windows.items()]
        return Report(Drift(min_rows=MIN_ROWS, windows=compared), accuracy, shadow)

    def _sum_windows(self, model: Model) -> dict[WindowName, Tally]:
        """A stretch that began before a window and reaches into it counts as a whole."""
        now = time()
        begins: dict[WindowName, tuple[Period, float]] = {
            "hour": (FINE, now - HOUR - FINE.seconds),
            "day": (FINE, now - DAY - FINE.seconds),
            "model": (COARSE, 0),
        }
        query = select(tallies).where(tallies.c.model_version == model.version)
        with self._database.begin() as connection:
            rows = connection.execute(query).all()
        empty = Tally(model.empty_counts.features, model.empty_counts.classes, {})
        sums = dict.fromkeys(begins, empty)
        for row, (name, (period, begin)) in product(rows, begins.items()):
            if row.period == period.name and row.start > begin:
                sums[name] = sums[name].plus_written(row.counts)
        return sums

    def _find_shadow(self, model: Model, windows: dict[WindowName, Tally]) -> ShadowReport | None:
        """The one that has answered lately."""
        recent = next((tally.shadows for tally in windows.values() if tally.shadows), {})
        if not recent:
            return None
        version = max(recent, key=lambda name: (recent[name].sum(), name))
        counts = windows["model"].shadows.get(version, NO_SHADOWED)
        answered, agreed, skipped = counts.tolist()
        count, right = self._feedback.measure_shadow(model.version, version)
        return ShadowReport(
            model_version=version,
            answered=answered,
            skipped=skipped,
            agreed=agreed,
            agreement=divide(agreed, answered),
            accuracy=divide(right, count),
            count=count,
        )


def _compare_window(model: Model, name: WindowName, tally: Tally) -> DriftWindow:
    counts = model.bins.split(tally.features)
    pairs = zip(model.description.features, counts, strict=True)
    return DriftWindow(
        window=name,
        rows=tally.rows,
        classes=compare_classes(model.description, tally.classes),
        features=[compare_feature(feature, counts) for feature, counts in pairs],
    )
