"""Measures what it costs to answer tables of many rows.

    python bench/batches.py

One backend process on one core, one client on the other. Rows a second for 100,000 rows of Iris in
each format, sent and asked for in the same, against the model called in process on the array, and
against the usual server of JSON through pandas. Then the p99 of one-row requests while batches run
back to back, and the memory of the server for tables of several sizes. The median of rounds that
take turns counts.
"""

import http.client
import io
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import requests
from load import draw_instances, read_memory, require_wrk, run_wrk
from models import ESTIMATORS, NAMES, dump, fit, publish
from pyarrow import csv

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "backend")]
from processes import find_free_port, running, wait_until  # noqa: E402

from worker.assembly import assemble  # noqa: E402
from worker.opened_model import OpenedModel  # noqa: E402
from worker.tables.table import CHUNK_ROWS  # noqa: E402

ROWS = 100_000
ROUNDS = 5
SECONDS = 8
SIZES = [10_000, 100_000, 500_000]
LAUNCHER = ["serve.py", "--log-level", "warning"]
PANDAS = ["-m", "uvicorn", "pandas_server:app", "--no-access-log", "--log-level", "warning"]
SERVER_CORE, CLIENT_CORE = 0, 1

JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"
TYPES = {
    "Arrow": ARROW,
    "Parquet": "application/vnd.apache.parquet",
    "CSV": "text/csv",
    "JSON columns": JSON,
    "JSON instances": JSON,
}


def draw(rows: int) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.uniform([4.3, 2.0, 1.0, 0.1], [7.9, 4.4, 6.9, 2.5], (rows, 4)).round(1)


def write(X: np.ndarray) -> dict[str, bytes]:
    """The same table in each format."""
    table = pa.table(dict(zip(NAMES, map(np.ascontiguousarray, X.T), strict=True)))
    arrow, parquet, text = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with pa.ipc.new_stream(arrow, table.schema) as file:
        file.write_table(table)
    pq.write_table(table, parquet)
    csv.write_csv(table, text)
    instances = [dict(zip(NAMES, row, strict=True)) for row in X.tolist()]
    return {
        "Arrow": arrow.getvalue(),
        "Parquet": parquet.getvalue(),
        "CSV": text.getvalue(),
        "JSON columns": json.dumps({"columns": table.to_pydict()}).encode(),
        "JSON instances": json.dumps({"instances": instances}).encode(),
    }


def write_for_pandas(X: np.ndarray) -> dict[str, bytes]:
    records = [dict(zip(NAMES, row, strict=True)) for row in X.tolist()]
    split = {"columns": NAMES, "data": X.tolist()}
    return {
        "pandas, split": json.dumps({"dataframe_split": split}).encode(),
        "pandas, records": json.dumps({"dataframe_records": records}).encode(),
    }


class Server(NamedTuple):
    url: str
    pid: int


@contextmanager
def serving(program: list[str], folder: str, **variables: Any) -> Iterator[Server]:
    """Address and process of a server on a core of its own."""
    port = find_free_port()
    command = ["taskset", "-c", str(SERVER_CORE), sys.executable, *program, "--port", str(port)]
    with (
        tempfile.TemporaryDirectory() as journal,
        running(
            command,
            folder,
            **{"JOURNAL_URL": f"sqlite:///{journal}/journal.db"} | variables,
        ) as process,
    ):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: requests.get(url, timeout=5) is not None)
        yield Server(url, process.pid)


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


def measure_speed(model: OpenedModel, ours: Server, theirs: Server) -> dict[str, list[float]]:
    """Seconds of each way, round by round."""
    X = draw(ROWS)
    batch, usual = f"{ours.url}/predict/batch", f"{theirs.url}/invocations"
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
    labels = min(median["pandas, split"], median["pandas, records"])
    both = min(median[f"pandas, {it}, probabilities"] for it in ("split", "records"))
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
        load = run_wrk(f"{url}/predict", draw_instances(), 1, SECONDS)
        stop.set()
        if name:
            runner.join()
        rate = len(done) / SECONDS
        print(f"| {name or 'none'} | {rate:.1f} | {load.p50:.1f} | {load.p99:.1f} |")


def send_until(stop: threading.Event, done: list[str], url: str, name: str, body: bytes) -> None:
    while not stop.is_set():
        post(f"{url}/predict/batch", body, TYPES[name])
        done.append(name)


def measure_memory(folder: Path) -> None:
    print("\nMost memory of the server in MB, a new one for each\n")
    print("| format | at rest | " + " | ".join(f"{it:,} rows" for it in SIZES) + " |")
    print("| --- | ---: |" + " ---: |" * len(SIZES))
    tables = {rows: write(draw(rows)) for rows in SIZES}
    for name, media_type in TYPES.items():
        cells = []
        for rows in SIZES:
            with serving(LAUNCHER, "backend", MODELS_DIR=folder, MAX_BODY_BYTES=2**26) as it:
                rest = wait_for_model(it)
                for _ in range(3):
                    post(f"{it.url}/predict/batch", tables[rows][name], media_type)
                cells.append(f"{read_peak(it.pid):.0f}")
        print(f"| {name} | {rest:.0f} | {' | '.join(cells)} |")


def wait_for_model(server: Server) -> float:
    """Megabytes of the server at rest."""
    wait_until(lambda: requests.get(f"{server.url}/health/ready", timeout=5).ok)
    time.sleep(1)
    return read_memory(server.pid)


def read_peak(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


def main() -> None:
    require_wrk()
    os.sched_setaffinity(0, {CLIENT_CORE})
    for name in ESTIMATORS:
        estimator = fit(name)
        with tempfile.TemporaryDirectory() as directory:
            folder = Path(directory)
            publish(dump(estimator), folder, datetime.now(UTC))
            pickled = next(folder.glob("*.pkl"))
            file = {"name": "iris", "version": "", "created_at": datetime.now(UTC)}
            model, _ = assemble(pickled.read_bytes(), file, None, is_tried=False)
            with (
                serving(LAUNCHER, "backend", MODELS_DIR=folder) as ours,
                serving(PANDAS, "bench", MODEL=pickled, PYTHONWARNINGS="ignore") as theirs,
            ):
                wait_for_model(ours)
                report_speed(name, measure_speed(model, ours, theirs))
                if "--speed" not in sys.argv:
                    measure_waiting(ours.url, write(draw(ROWS)))
            if name == "logistic regression" and "--speed" not in sys.argv:
                measure_memory(folder)


if __name__ == "__main__":
    main()
