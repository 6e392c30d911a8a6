"""Counts inferences as Triton's statistics extension has it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from threading import Lock

from open_inference.protocol import BatchDurations, Duration, ModelStatistics, Steps
from serving.inference import LeftToWorker, Model

MOST_BATCH_SIZES = 100  # as clients may send any; the first ones stay


class Stopwatch:
    """An inference says when each of its steps is done."""

    def __init__(self) -> None:
        self.times = [time.perf_counter_ns()]
        self.rows = 0

    def lap(self) -> None:
        self.times.append(time.perf_counter_ns())

    def elapsed(self) -> int:
        return self.times[-1] - self.times[0]


class Tally:
    """What one version of a model has answered; any thread may add to it."""

    def __init__(self, name: str, version: str) -> None:
        self._statistics = ModelStatistics(name=name, version=version)
        self._lock = Lock()

    @contextmanager
    def watch(self) -> Iterator[Stopwatch]:
        """Counts an inference as failed where anything is raised."""
        watch = Stopwatch()
        try:
            yield watch
        except LeftToWorker:  # and counted there
            raise
        except Exception:
            watch.lap()
            with self._lock:
                _add(self._statistics.inference_stats.fail, watch.elapsed())
            raise
        watch.lap()
        with self._lock:
            self._count(watch)

    def show(self) -> ModelStatistics:
        with self._lock:
            return self._statistics.model_copy(deep=True)

    def _count(self, watch: Stopwatch) -> None:
        statistics = self._statistics
        statistics.last_inference = time.time_ns() // 1_000_000
        statistics.inference_count += watch.rows
        statistics.execution_count += 1
        _add(statistics.inference_stats.success, watch.elapsed())
        _add(statistics.inference_stats.queue, 0)  # nothing waits
        for counted in (statistics.inference_stats, self._find_batch(watch.rows)):
            for step, (start, end) in zip(Steps.model_fields, pairwise(watch.times), strict=True):
                _add(getattr(counted, step), end - start)

    def _find_batch(self, size: int) -> BatchDurations:
        batches = self._statistics.batch_stats
        found = next((it for it in batches if it.batch_size == size), None)
        batch = found or BatchDurations(batch_size=size)
        if not found and len(batches) < MOST_BATCH_SIZES:
            batches.append(batch)
        return batch


class Tallies:
    """Of every version that has been asked since the service started."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str], Tally] = {}

    def of(self, model: Model) -> Tally:
        key = (model.description.name, model.version)
        return self._tallies.setdefault(key, Tally(*key))

    def show(self) -> list[ModelStatistics]:
        return [tally.show() for tally in list(self._tallies.values())]


def _add(duration: Duration, lasted: int) -> None:
    duration.count += 1
    duration.ns += lasted
