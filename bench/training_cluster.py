"""Measures a search on a Dask cluster: the same on one worker and on two, with one core each.

python bench/documented.py bench/training_cluster.py

All candidates on scikit-learn's table of breast cancers. The numbers found are compared with those
of this machine without a cluster. Client and scheduler take their part of the same cores.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from distributed import Client
from sklearn.datasets import load_breast_cancer

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).parent.parent / "mlflow"))
from processes import ROOT, running, wait_until

from parallel.cluster import Crew, hire
from reading.formats import Table
from table.dataset import make_dataset
from training.candidates import list_candidates
from training.comparison import Comparison, Means, Setting, compare, split

ROUNDS = 3
WORKERS = (1, 2)


@contextmanager
def cluster(workers: int) -> Iterator[Crew]:
    """A new one, whose workers have imported what they need."""
    dask = str(Path(sys.executable).with_name("dask"))
    options = ["--host", "127.0.0.1", "--no-dashboard"]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        log = stack.enter_context((folder / "log").open("w"))
        settings = {"PYTHONPATH": ROOT / "mlflow", "DASK_TEMPORARY_DIRECTORY": folder}

        def start(*command: str) -> None:
            stack.enter_context(running([dask, *command, *options], "mlflow", log, **settings))

        file = folder / "scheduler.json"
        start("scheduler", "--port", "0", "--scheduler-file", str(file))
        wait_until(lambda: file.exists() and file.read_text().endswith("}"))
        address = json.loads(file.read_text())["address"]
        for _ in range(workers):
            start("worker", address, "--nworkers", "1", "--nthreads", "1")
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=60)
        crew = stack.enter_context(hire(address))
        assert crew.workers == workers
        yield crew


def make_setting() -> Setting:
    bunch = load_breast_cancer(as_frame=True)
    frame = bunch.data.assign(diagnosis=bunch.target_names[bunch.target])
    dataset = make_dataset(Table(frame, "0" * 64), "cancers", "diagnosis")
    return Setting(dataset, split(dataset, 0), 0)


def search(setting: Setting, workers: int) -> tuple[float, Comparison]:
    with cluster(workers) as crew:
        started = time.perf_counter()
        outcome = compare(list_candidates(0), setting, means=Means(crew.run))
        return time.perf_counter() - started, outcome


def read(outcome: Comparison) -> list[Any]:
    """All that a choice is made by."""
    scores = [result.scores for result in outcome.results]
    return [[(score.metrics, score.params) for score in of_one] for of_one in scores]


def measure() -> None:
    setting = make_setting()
    seconds: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    expected = read(compare(list_candidates(0), setting))
    for _ in range(ROUNDS):
        for workers in WORKERS:
            took, outcome = search(setting, workers)
            assert read(outcome) == expected, f"other numbers on {workers}"
            seconds[workers].append(took)
    report(seconds)


def report(seconds: dict[int, list[float]]) -> None:
    one = statistics.median(seconds[1])
    print("| workers | seconds | of one |\n| ---: | ---: | ---: |")
    for workers, taken in seconds.items():
        middle = statistics.median(taken)
        print(f"| {workers} | {middle:.0f} ({min(taken):.0f} to {max(taken):.0f}) |", end="")
        print(f" {one / middle:.2f}× |")


if __name__ == "__main__":
    measure()
