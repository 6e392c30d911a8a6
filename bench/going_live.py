"""Measures what a change of models costs the requests that are being answered.

    make bench

One backend process, 32 connections of wrk. Rounds with and without a publish every second take
turns, for a linear model and for a forest of 200 trees. Printed: p50 and p99 of both, their ratio,
what wrk saw fail, and the time from a model's rename to its being live.
"""

import contextlib
import hashlib
import io
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import joblib
import requests
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from processes import find_free_port, running_backend, wait_until

ROUNDS = 5
SECONDS = 10
CONNECTIONS = 32
INSTANCE = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
SCRIPT = f"""
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{json.dumps(INSTANCE)}'
"""
FEATURE = {
    "type": "number", "unit": "cm", "min": 0, "max": 8, "mean": 3, "median": 3, "step": 0.1,
    "histogram": {"edges": [0, 8], "counts": {}},
}  # fmt: skip
MANIFEST = {
    "format": 1, "name": "iris", "signature": None, "estimator": "", "params": {}, "metrics": {},
    "features": [FEATURE | {"name": name} for name in INSTANCE],
    "target": {"name": "species", "classes": ["setosa", "versicolor", "virginica"]},
    "dataset": {"name": "iris", "rows": 150, "sha256": ""}, "libraries": {}, "mlflow": None,
    "examples": [], "republished_from": None,
}  # fmt: skip
ESTIMATORS = {
    "logistic regression": LogisticRegression(max_iter=1000),
    "forest of 200": RandomForestClassifier(200, random_state=0),
}


def publish(pickled: bytes, directory: Path, moment: datetime) -> str:
    """As the trainer does: the manifest first, then the pickle, both by rename."""
    version = f"{moment:%Y_%m_%d_T%H_%M_%S}"
    manifest = MANIFEST | {
        "version": version,
        "created_at": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "sha256": hashlib.sha256(pickled).hexdigest(),
        "size": len(pickled),
    }
    for name, content in (("json", json.dumps(manifest).encode()), ("pkl", pickled)):
        hidden = directory / f".{version}"
        hidden.write_bytes(content)
        hidden.rename(directory / f"model_{version}.{name}")
    return version


def load(url: str, script: Path) -> tuple[float, float, float, int]:
    """Requests a second, p50 and p99 in milliseconds, and failures, as wrk saw them."""
    command = [
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{SECONDS}s",
        "--timeout",
        "30s",
        "--latency",
        "-s",
        script,
        url,
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])
    failed = re.findall(r"Non-2xx.*: (\d+)|(?:connect|read|write|timeout) (\d+)", said)
    return rate, _latency(said, 50), _latency(said, 99), sum(int(a or b) for a, b in failed)


def _latency(said: str, percentile: int) -> float:
    number, unit = re.search(rf"{percentile}%\s+([\d.]+)(us|ms|s)", said).groups()
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def publish_until(stop: threading.Event, pickled: bytes, directory: Path, url: str) -> list[float]:
    """One model a second; returns the seconds from each rename to its being live."""
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


def measure(name: str, script: Path) -> None:
    X, y = load_iris(return_X_y=True)
    dumped = io.BytesIO()
    joblib.dump(ESTIMATORS[name].fit(X, load_iris().target_names[y]), dumped)
    pickled = dumped.getvalue()
    quiet, busy, waits = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        publish(pickled, directory, datetime.now(UTC))
        with running_backend(directory, find_free_port()) as url:
            wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
            load(f"{url}/predict", script)  # to warm up
            for _ in range(ROUNDS):
                quiet.append(load(f"{url}/predict", script))
                stop = threading.Event()
                publisher = threading.Thread(
                    target=lambda stop=stop: waits.extend(
                        publish_until(stop, pickled, directory, url)
                    )
                )
                publisher.start()
                busy.append(load(f"{url}/predict", script))
                stop.set()
                publisher.join()
    report(name, quiet, busy, waits)


def report(name: str, quiet: list, busy: list, waits: list[float]) -> None:
    print(f"\n{name}: {ROUNDS} rounds of {SECONDS} s each way, {len(waits)} publishes")
    for label, rounds in (("quiet", quiet), ("publishing", busy)):
        rate, p50, p99 = (
            statistics.median(column) for column in list(zip(*rounds, strict=True))[:3]
        )
        failed = sum(failures for *_, failures in rounds)
        print(
            f"  {label:<11}{rate:>8.0f}/s   p50 {p50:.1f} ms   p99 {p99:.1f} ms   failed {failed}"
        )
    ratios = [after[2] / before[2] for before, after in zip(quiet, busy, strict=True)]
    print(f"  p99 while publishing, as a multiple: {', '.join(f'{it:.2f}' for it in ratios)}")
    print(f"  rename to live: median {statistics.median(waits):.2f} s, longest {max(waits):.2f} s")


if __name__ == "__main__":
    if not shutil.which("wrk"):
        sys.exit("wrk makes the load, and is not there. On Debian and Ubuntu: apt install wrk")
    with (
        tempfile.NamedTemporaryFile("w", suffix=".lua") as lua,
        contextlib.suppress(KeyboardInterrupt),
    ):
        lua.write(SCRIPT)
        lua.flush()
        for estimator in ESTIMATORS:
            measure(estimator, Path(lua.name))
