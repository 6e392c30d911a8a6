"""Adds up what several sources have counted, other workers among them, for Prometheus."""

import json
import multiprocessing
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from operator import add
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

# Values of several workers are added up; for other gauges the largest counts.
COMBINED: dict[str, Callable[[float, float], float]] = {
    "journal_up": min,
    "http_requests_in_flight": add,
}
# Of the live model only, so a worker that serves another one is left out.
OF_THE_MODEL = ("model_predictions", "model_prediction_probability")

Series = tuple[str, tuple[tuple[str, str], ...]]  # its name and labels
Source = Callable[[], Iterable[Metric]]


class Sum(Collector):
    """The families of all sources, samples of the same name and labels put together."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = list(sources)

    def collect(self) -> Iterator[Metric]:
        found: dict[str, Metric] = {}
        values: dict[str, dict[Series, float]] = defaultdict(dict)
        for family in chain.from_iterable(source() for source in self._sources):
            found.setdefault(family.name, family)
            combine = COMBINED.get(family.name) or (max if family.type == "gauge" else add)
            known = values[family.name]
            for name, labels, value, *_ in family.samples:
                series = name, tuple(sorted(labels.items()))
                known[series] = combine(known[series], value) if series in known else value
        for family in found.values():
            summed = Metric(family.name, family.documentation, family.type)
            summed.samples = [
                Sample(name, dict(series), value)
                for (name, series), value in values[family.name].items()
            ]
            yield summed


class Workers:
    """A folder that the workers of one service keep their counts in, each in a file of its own.

    Those of a worker that has died stay, as what it has counted has happened.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own = folder / f"{os.getpid()}-{os.urandom(4).hex()}.json"

    def write(self, families: Iterable[Metric], version: str | None) -> None:
        """What this worker has counted, and which model it serves."""
        counted = [
            (family.name, family.documentation, family.type, [it[:3] for it in family.samples])
            for family in families
        ]
        hidden = self._own.with_suffix(".tmp")
        hidden.write_text(json.dumps({"version": version, "families": counted}))
        hidden.rename(self._own)

    def read_others(self, version: str | None) -> Iterator[Metric]:
        for path in self._folder.glob("*.json"):
            if path == self._own:
                continue
            found = json.loads(path.read_text())
            is_alive = _is_alive(int(path.name.partition("-")[0]))
            for name, documentation, kind, samples in found["families"]:
                is_ours = name not in OF_THE_MODEL or found["version"] == version
                if is_ours and (kind != "gauge" or is_alive):
                    family = Metric(name, documentation, kind)
                    family.samples = [Sample(*sample) for sample in samples]
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
    except OSError as error:
        return isinstance(error, PermissionError)
    return True
