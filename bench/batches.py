"""Measures what it costs to answer tables of many rows.

    python bench/batches.py

One backend process on one core, one client on the other. Rows a second for 100,000 rows of Iris in
each format, sent and asked for in the same, against the model called in process on the array, and
against the usual server of JSON through pandas. Then the p99 of one-row requests while batches run
back to back, and the memory of the server for tables of several sizes. The median of rounds that
take turns counts.
"""

import http.client
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import load
import numpy as np
from formats import ARROW, CSV, JSON, PARQUET
from formats import write as write_table
from models import ESTIMATORS, NAMES, dump, fit, publish

sys.path.insert(0, str(Path(__file__).parent.parent / "backend"))
from worker.assembly import assemble
from worker.opened_model import OpenedModel
from worker.tables.table import CHUNK_ROWS

ROWS = 100_000
ROUNDS = 5
SECONDS = 8
SIZES = [10_000, 100_000, 500_000]
PANDAS = ["-m", "uvicorn", "pandas_server:app", "--no-access-log", "--log-level", "warning"]
PANDAS_WAYS = ("split", "records")
INSTANCES = "JSON instances"
TYPES = {"Arrow": ARROW, "Parquet": PARQUET, "CSV": CSV, "JSON columns": JSON, INSTANCES: JSON}


def write(X: np.ndarray) -> dict[str, bytes]:
    """The same table in each format."""
    table = load.make_table(X)
    written = {name: write_table(table, media_type) for name, media_type in TYPES.items()}
    return written | {INSTANCES: json.dumps({"instances": load.list_instances(X)}).encode()}


def write_for_pandas(X: np.ndarray) -> dict[str, bytes]:
    split = {"columns": NAMES, "data": X.tolist()}
    return {
        "pandas, split": json.dumps({"dataframe_split": split}).encode(),
        "pandas, records": json.dumps({"dataframe_records": load.list_instances(X)}).encode(),
    }


def post(url: str, body: bytes, media_type: str) -> bytes:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=600)
    connection.request("POST", url, body, {"Content-Type": media_type})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    assert response.status == 200, content[:500]
    return content


def time_of(call: Callable[[], object]) -> float:
    """Seconds."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure_speed(model: OpenedModel, ours: str, theirs: str) -> dict[str, list[float]]:
    """Seconds of each way, round by round."""
    X = load.draw(ROWS)
    batch, usual = f"{ours}/predict/batch", f"{theirs}/invocations"
    ways: dict[str, Callable[[], object]] = {
        "in process": lambda: model.answer(X),
        "in process, in chunks": partial(answer_in_chunks, model, X),
    }
    for name, body in write(X).items():
        ways[name] = partial(post, batch, body, TYPES[name])
    for name, body in write_for_pandas(X).items():
        ways[name] = partial(post, usual, body, JSON)
        with_all = f"{usual}?probabilities=true"
        ways[f"{name}, probabilities"] = partial(post, with_all, body, JSON)
    for call in ways.values():
        call()  # to warm up
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            times[name].append(time_of(way))
    return times


def answer_in_chunks(model: OpenedModel, X: np.ndarray) -> None:
    for start in range(0, len(X), CHUNK_ROWS):
        model.answer(X[start : start + CHUNK_ROWS])


def report_speed(name: str, times: dict[str, list[float]]) -> None:
    """Each server, with all of its processes, has one core; so has what runs in process."""
    print(f"\n{name}, {ROWS:,} rows, median of {ROUNDS} rounds\n")
    print(
        "| way | ms | rows a second | of in process | of in chunks "
        "| × pandas, labels | × pandas, probabilities |"
    )
    print("| --- |" + " ---: |" * 6)
    median = {way: statistics.median(rounds) for way, rounds in times.items()}
    labels = min(median[f"pandas, {way}"] for way in PANDAS_WAYS)
    both = min(median[f"pandas, {way}, probabilities"] for way in PANDAS_WAYS)
    for way, seconds in median.items():
        print(
            f"| {way} | {seconds * 1000:.1f} | {ROWS / seconds:,.0f} "
            f"| {median['in process'] / seconds:.2f} "
            f"| {median['in process, in chunks'] / seconds:.2f} | {labels / seconds:.1f} "
            f"| {both / seconds:.1f} |"
        )


def measure_waiting(url: str, bodies: dict[str, bytes]) -> None:
    print("\nOne-row requests, 1 connection, while batches of 100,000 rows run back to back\n")
    print("| batches of | batches a second | p50 ms | p99 ms |")
    print("| --- | ---: | ---: | ---: |")
    for name, body in {"": b"", **bodies}.items():
        stop = threading.Event()
        done: list[str] = []
        runner = threading.Thread(target=send_until, args=(stop, done, url, name, body))
        if name:
            runner.start()
        singles = load.run_wrk(f"{url}/predict", load.draw_instances(), 1, SECONDS)
        stop.set()
        if name:
            runner.join()
        rate = len(done) / SECONDS
        print(f"| {name or 'none'} | {rate:.1f} | {singles.p50:.1f} | {singles.p99:.1f} |")


def send_until(stop: threading.Event, done: list[str], url: str, name: str, body: bytes) -> None:
    while not stop.is_set():
        post(f"{url}/predict/batch", body, TYPES[name])
        done.append(name)


def measure_memory(folder: Path) -> None:
    print("\nMost memory of the server in MB, a new one for each\n")
    print("| format | at rest | " + " | ".join(f"{rows:,} rows" for rows in SIZES) + " |")
    print("| --- | ---: |" + " ---: |" * len(SIZES))
    tables = {rows: write(load.draw(rows)) for rows in SIZES}
    for name, media_type in TYPES.items():
        cells = []
        for rows in SIZES:
            with load.serving_backend(folder, MAX_BODY_BYTES=2**26) as server:
                rest = load.read_memory(server.pid)
                for _ in range(3):
                    post(f"{server.url}/predict/batch", tables[rows][name], media_type)
                cells.append(f"{read_peak(server.pid):.0f}")
        print(f"| {name} | {rest:.0f} | {' | '.join(cells)} |")


def read_peak(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def main() -> None:
    load.require_wrk()
    os.sched_setaffinity(0, {int(load.LOAD_CORE)})
    for name in ESTIMATORS:
        estimator = fit(name)
        with tempfile.TemporaryDirectory() as directory:
            folder = Path(directory)
            publish(dump(estimator), folder)
            pickled = next(folder.glob("*.pkl"))
            file = {"name": "iris", "version": "", "created_at": datetime.now(UTC)}
            head = {"file": file, "is_tried": False, "takes_unchecked": False}
            model, _ = assemble(pickled.read_bytes(), head, None)
            usual = load.serving(
                PANDAS, "bench/peers", "/invocations", MODEL=pickled, PYTHONWARNINGS="ignore"
            )
            with load.serving_backend(folder) as ours, usual as theirs:
                report_speed(name, measure_speed(model, ours.url, theirs.url))
                if "--speed" not in sys.argv:
                    measure_waiting(ours.url, write(load.draw(ROWS)))
            if name == "logistic regression" and "--speed" not in sys.argv:
                measure_memory(folder)


if __name__ == "__main__":
    main()
