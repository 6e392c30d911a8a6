"""Counts inferences as Triton's statistics extension has it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from threading import Lock

from open_inference.protocol import BatchDurations, Duration, ModelStatistics, Statistics, Steps
from serving.inference import LeftToWorker, Model

MOST_BATCH_SIZES = 100  # as clients may send any; the first ones stay


class Stopwatch:
    """Takes the time of an inference after each of its steps, and its number of rows."""

    def __init__(self) -> None:
        self.times = [time.perf_counter_ns()]
        self.rows = 0

    def lap(self) -> None:
        self.times.append(time.perf_counter_ns())

    def elapsed(self) -> int:
        return self.times[-1] - self.times[0]


class ServerStatistics:
    """Counts for every version asked since the service started; any thread may call this."""

    def __init__(self) -> None:
        self._versions: dict[tuple[str, str], ModelStatistics] = {}
        self._lock = Lock()

    @contextmanager
    def watch(self, model: Model) -> Iterator[Stopwatch]:
        """Counts an inference as failed where anything is raised."""
        watch = Stopwatch()
        try:
            yield watch
        except LeftToWorker:  # and counted there
            raise
        except Exception:
            watch.lap()
            with self._lock:
                _add(self._find(model).inference_stats.fail, watch.elapsed())
            raise
        watch.lap()
        with self._lock:
            _count(watch, self._find(model))

    def show(self, model: Model | None, name: str = "", version: str = "") -> Statistics:
        """Show one name and version, or all; the model is shown even if it was never asked."""
        with self._lock:
            if model:
                self._find(model)
            found = [
                statistics.model_copy(deep=True)
                for statistics in self._versions.values()
                if name in ("", statistics.name) and version in ("", statistics.version)
            ]
        return Statistics(model_stats=found)

    def _find(self, model: Model) -> ModelStatistics:
        name, version = model.description.name, model.version
        if (name, version) not in self._versions:
            self._versions[name, version] = ModelStatistics(name=name, version=version)
        return self._versions[name, version]


def _count(watch: Stopwatch, statistics: ModelStatistics) -> None:
    statistics.last_inference = time.time_ns() // 1_000_000
    statistics.inference_count += watch.rows
    statistics.execution_count += 1
    _add(statistics.inference_stats.success, watch.elapsed())
    _add(statistics.inference_stats.queue, 0)  # nothing waits
    for counted in (statistics.inference_stats, _find_batch(watch.rows, statistics.batch_stats)):
        for step, (start, end) in zip(Steps.model_fields, pairwise(watch.times), strict=True):
            _add(getattr(counted, step), end - start)


def _find_batch(size: int, batches: list[BatchDurations]) -> BatchDurations:
    found = next((batch for batch in batches if batch.batch_size == size), None)
    batch = found or BatchDurations(batch_size=size)
    if not found and len(batches) < MOST_BATCH_SIZES:
        batches.append(batch)
    return batch


def _add(duration: Duration, lasted: int) -> None:
    duration.count += 1
    duration.ns += lasted
