"""Measures the scoring of files: rows a second against the bare model's, and memory.

    python bench/documented.py "bench/scoring.py --rows 50_000_000"

Irises in Parquet and in CSV, scored by scoring.py into folders, each with what it says of its rate.
The bare model is asked for an array in memory, in the chunks that scoring.py asks it in and in
one: by one process, and by one for each core. Memory is that of all processes together, each
with its share of the pages that are several's.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from models import NAMES, dump, fit, publish
from pyarrow import csv

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from processes import ROOT, environment, list_processes

CORES = len(os.sched_getaffinity(0))
GROUP_ROWS = 1_048_576
CSV_ROWS = 20_000_000  # at most
FOREST_ROWS = 4_000_000  # at most
BARE_ROWS = 1_000_000
SECONDS_BETWEEN_LOOKS = 0.2

BARE = """
import sys, time, warnings
warnings.simplefilter("ignore")
import joblib, numpy as np
from threadpoolctl import threadpool_limits
estimator, rows, chunk = joblib.load(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
low, high = [4.3, 2.0, 1.0, 0.1], [7.9, 4.4, 6.9, 2.5]
X = np.random.default_rng(0).uniform(low, high, (rows, 4)).round(1)
threadpool_limits(1)
estimator.predict_proba(X[:1000])
print("ready", flush=True)
sys.stdin.readline()
started = time.perf_counter()
for start in range(0, rows, chunk):
    estimator.predict_proba(X[start : start + chunk])
print(time.perf_counter() - started)
"""


class Run(NamedTuple):
    """Rows a second as the command says it; megabytes in the first third of the time and in all."""

    rows: int
    seconds: float
    rate: float
    early: float
    most: float


def write_parquet(path: Path, rows: int) -> None:
    with pq.ParquetWriter(path, draw(0, 1).schema) as file:
        for start in range(0, rows, GROUP_ROWS):
            file.write_table(draw(start, min(GROUP_ROWS, rows - start)), GROUP_ROWS)


def write_csv(path: Path, rows: int) -> None:
    with csv.CSVWriter(path, draw(0, 1).schema) as file:
        for start in range(0, rows, GROUP_ROWS):
            file.write_table(draw(start, min(GROUP_ROWS, rows - start)))


def draw(seed: int, rows: int) -> pa.Table:
    low, high = [4.3, 2.0, 1.0, 0.1], [7.9, 4.4, 6.9, 2.5]
    X = np.random.default_rng(seed).uniform(low, high, (rows, 4)).round(1)
    return pa.table(dict(zip(NAMES, map(np.ascontiguousarray, X.T), strict=True)))


def publish_with_example(name: str, folder: Path) -> Path:
    """The pickle; scoring.py takes no model that it cannot try out."""
    estimator = fit(name)
    version = publish(dump(estimator), folder, datetime.now(UTC))
    manifest = folder / f"model_{version}.json"
    row = [5.1, 3.5, 1.4, 0.2]
    answer = estimator.predict_proba([row])[0].tolist()
    examples = [{"inputs": dict(zip(NAMES, row, strict=True)), "probabilities": answer}]
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"examples": examples}))
    return manifest.with_suffix(".pkl")


def score(models: Path, source: Path, out: Path) -> Run:
    command = [sys.executable, str(ROOT / "backend/scoring.py"), str(source), str(out)]
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment(MODELS_DIR=models), stdout=subprocess.PIPE, text=True
    )
    looks: list[float] = []
    watcher = threading.Thread(target=watch, args=(process, looks))
    watcher.start()
    said = process.communicate()[0]
    seconds = time.perf_counter() - started
    watcher.join()
    assert process.returncode == 0, said
    rate = float(re.search(r"Scored, ([\d,]+) rows a second", said)[1].replace(",", ""))
    rows = int(re.search(r" of ([\d,]+) rows", said)[1].replace(",", ""))
    early = looks[: max(1, len(looks) // 3)]
    return Run(rows, seconds, rate, max(early) / 1e6, max(looks) / 1e6)


def watch(process: subprocess.Popen, looks: list[float]) -> None:
    while process.poll() is None:
        found = [process.pid, *(pid for pid, _ in list_processes(process.pid))]
        looks.append(sum(map(read_memory, found)))
        time.sleep(SECONDS_BETWEEN_LOOKS)


def read_memory(pid: int) -> int:
    """Bytes; none where the process has just ended."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return 1024 * int(rollup.partition("\nPss:")[2].split()[0])


def measure_bare(pickled: Path, rows: int, chunk: int, processes: int) -> float:
    """Rows a second of all processes, which begin together."""
    command = [sys.executable, "-c", BARE, str(pickled), str(rows), str(chunk)]
    start = partial(subprocess.Popen, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    started = [start(command, env=environment()) for _ in range(processes)]
    for it in started:
        assert it.stdout.readline() == "ready\n"
    for it in started:
        it.stdin.write("\n")
        it.stdin.flush()
    return sum(rows / float(it.communicate()[0]) for it in started)


def compare(name: str, sources: dict[str, Path], folder: Path, bare_rows: int) -> None:
    """One model's lines of the table, each scoring against the same bare model."""
    models = folder / name.replace(" ", "_")
    models.mkdir()
    pickled = publish_with_example(name, models)
    one, chunked, every = (
        measure_bare(pickled, bare_rows, chunk, processes)
        for chunk, processes in ((bare_rows, 1), (16_384, 1), (16_384, CORES))
    )
    print(
        f"\n**{name}**, bare: {one:,.0f} rows a second for all at once, {chunked:,.0f} in chunks, "
        f"{every:,.0f} by {CORES} processes\n"
    )
    print("| table | rows | seconds | rows/s | of the bare model's | MB early | MB at most |")
    print("| --- |" + " ---: |" * 6)
    for label, source in sources.items():
        run = score(models, source, folder / "scored")
        print(
            f"| {label} | {run.rows:,} | {run.seconds:.1f} | {run.rate:,.0f} "
            f"| {run.rate / every:.2f} | {run.early:.0f} | {run.most:.0f} |",
            flush=True,
        )
        subprocess.run(["rm", "-r", folder / "scored"], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        large, text, few = folder / "large.parquet", folder / "text.csv", folder / "few.parquet"
        write_parquet(large, rows)
        write_csv(text, min(rows, CSV_ROWS))
        write_parquet(few, min(rows, FOREST_ROWS))
        compare("logistic regression", {"Parquet": large, "CSV": text}, folder, BARE_ROWS)
        compare("forest of 200", {"Parquet": few}, folder, FOREST_ROWS // 4)


if __name__ == "__main__":
    main()
