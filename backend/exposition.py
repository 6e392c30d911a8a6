"""Adds up what several sources have counted, other workers among them, for Prometheus."""

import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

# What several workers say of themselves is added up; of these there is one truth.
GAUGES: dict[str, Callable[[float, float], float]] = {"journal_up": min}
SUMMED_GAUGES = {"http_requests_in_flight"}
# Of the live model only, so a worker that serves another one is left out.
OF_THE_MODEL = ("model_predictions", "model_prediction_probability")

Source = Callable[[], Iterable[Metric]]


class Sum(Collector):
    """The families of all sources, samples of the same name and labels put together."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = list(sources)

    def collect(self) -> Iterator[Metric]:
        found: dict[str, Metric] = {}
        for source in self._sources:
            for family in source():
                known = found.setdefault(family.name, _empty(family))
                known.samples = _put_together(family, known.samples)
        yield from found.values()

    def samples(self, family: str) -> list[Sample]:
        return next((it.samples for it in self.collect() if it.name == family), [])


class Workers:
    """A folder that the workers of one service keep their counts in, each in a file of its own.

    Those of a worker that has died stay, as what it has counted has happened.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own = folder / f"{os.getpid()}-{os.urandom(4).hex()}.json"

    def write(self, families: Iterable[Metric], version: str | None) -> None:
        """What this worker has counted, and which model it serves."""
        counted = [_pack(family) for family in families]
        hidden = self._own.with_suffix(".tmp")
        hidden.write_text(json.dumps({"version": version, "families": counted}))
        hidden.rename(self._own)

    def read_others(self, version: str | None) -> Iterator[Metric]:
        for path in self._folder.glob("*.json"):
            if path == self._own:
                continue
            found = json.loads(path.read_text())
            is_alive = _is_alive(int(path.name.partition("-")[0]))
            for packed in found["families"]:
                family = _unpack(packed)
                if family.name in OF_THE_MODEL and found["version"] != version:
                    continue
                if family.type != "gauge" or is_alive:
                    yield family


def join_workers() -> Workers | None:
    """None where the service has one worker only, as its process was not started by another."""
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        return None
    folder = Path(tempfile.gettempdir()) / f"iris-ml-{os.getuid()}-{_name(parent.pid)}"
    for other in folder.parent.glob(f"iris-ml-{os.getuid()}-*"):
        if not _is_alive(int(other.name.split("-")[3])):
            shutil.rmtree(other, ignore_errors=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else. Remove it.")
    return Workers(folder)


def _name(pid: int) -> str:
    """Of a process, as no later one with the same number has it."""
    started = "0"
    with suppress(OSError):  # elsewhere than on Linux, numbers do not come again as soon
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{pid}-{started}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _empty(family: Metric) -> Metric:
    return Metric(family.name, family.documentation, family.type)


def _put_together(family: Metric, known: list[Sample]) -> list[Sample]:
    values = {_identify(it): it.value for it in known}
    combine = GAUGES.get(family.name, max) if family.type == "gauge" else float.__add__
    if family.name in SUMMED_GAUGES:
        combine = float.__add__
    for sample in family.samples:
        if sample.name.endswith("_created"):
            continue  # a moment, of which there is no sum
        key = _identify(sample)
        value = float(sample.value)
        values[key] = combine(float(values[key]), value) if key in values else value
    return [Sample(name, dict(labels), value) for (name, labels), value in values.items()]


def _identify(sample: Sample) -> tuple[str, tuple[tuple[str, str], ...]]:
    return sample.name, tuple(sorted(sample.labels.items()))


def _pack(family: Metric) -> list[Any]:
    samples = [[it.name, it.labels, it.value] for it in family.samples]
    return [family.name, family.documentation, family.type, samples]


def _unpack(packed: list[Any]) -> Metric:
    name, documentation, kind, samples = packed
    family = Metric(name, documentation, kind)
    family.samples = [Sample(*it) for it in samples]
    return family
