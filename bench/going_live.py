"""Measures what a change of models costs the requests that are being answered.

    make bench

One backend process, 32 connections of wrk. Rounds with and without a publish every second take
turns, for a linear model and for a forest of 200 trees. Printed: p50 and p99 of both, their ratio,
what wrk saw fail, and the time from a model's rename to its being live.
"""

import statistics
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests
from load import Load, draw_instances, require_wrk, run_wrk, summarize
from models import ESTIMATORS, dump, fit, publish
from processes import running_backend

ROUNDS = 5
SECONDS = 10
CONNECTIONS = 32


def publish_until(stop: threading.Event, pickled: bytes, directory: Path, url: str) -> list[float]:
    """One model a second; return the seconds from each rename to its being live."""
    waits = []
    newest = max(path.stem for path in directory.glob("*.pkl")).removeprefix("model_")
    moment = datetime.strptime(newest, "%Y_%m_%d_T%H_%M_%S").replace(tzinfo=UTC)
    while not stop.wait(1.0):
        moment += timedelta(seconds=1)
        version = publish(pickled, directory, moment)
        renamed = time.monotonic()
        while requests.get(f"{url}/health/ready", timeout=60).json()["model_version"] < version:
            time.sleep(0.02)
        waits.append(time.monotonic() - renamed)
    return waits


def measure(name: str) -> None:
    pickled = dump(fit(name))
    quiet, busy, waits = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        publish(pickled, directory)
        with running_backend(directory) as url:
            load(url)  # to warm up
            for _ in range(ROUNDS):
                quiet.append(load(url))
                stop = threading.Event()
                publisher = threading.Thread(
                    target=lambda stop=stop: waits.extend(
                        publish_until(stop, pickled, directory, url)
                    )
                )
                publisher.start()
                busy.append(load(url))
                stop.set()
                publisher.join()
    report(name, quiet, busy, waits)


def load(url: str) -> Load:
    return run_wrk(f"{url}/predict", draw_instances(), CONNECTIONS, SECONDS)


def report(name: str, quiet: list[Load], busy: list[Load], waits: list[float]) -> None:
    print(f"\n{name}: {ROUNDS} rounds of {SECONDS} s each way, {len(waits)} publishes")
    for label, rounds in (("quiet", quiet), ("publishing", busy)):
        middle = summarize(rounds)
        print(
            f"  {label:<11}{middle.rate:>8.0f}/s   p50 {middle.p50:.1f} ms   "
            f"p99 {middle.p99:.1f} ms   failed {middle.failed}"
        )
    ratios = [after.p99 / before.p99 for before, after in zip(quiet, busy, strict=True)]
    print(f"  p99 while publishing, as a multiple: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    print(f"  rename to live: median {statistics.median(waits):.2f} s, longest {max(waits):.2f} s")


if __name__ == "__main__":
    require_wrk()
    for estimator in ESTIMATORS:
        measure(estimator)
