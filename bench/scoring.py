"""Measures the scoring of files: rows a second against the bare model's, and memory.

    python bench/documented.py "bench/scoring.py --rows 50_000_000"

Irises in Parquet and in CSV, scored by scoring.py into folders, each with what it says of its rate.
The bare model is asked for an array in memory, in the chunks that scoring.py asks it in and in
one: by one process, and by one for each core. Memory is that of all processes together, each
with its share of the pages that are several's.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from load import draw, make_table, watching_memory
from models import dump, fit, publish
from processes import INSTANCE, ROOT, environment
from pyarrow import csv

BENCH = Path(__file__).parent
CORES = len(os.sched_getaffinity(0))
GROUP_ROWS = 1_048_576
CSV_ROWS = 20_000_000  # at most
FOREST_ROWS = 4_000_000  # at most
BARE_ROWS = 1_000_000

BARE = """
import sys, time, warnings
warnings.simplefilter("ignore")
import joblib
from load import draw
from threadpoolctl import threadpool_limits
estimator, rows, chunk = joblib.load(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
X = draw(rows)
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
    with pq.ParquetWriter(path, make_table(draw(1)).schema) as file:
        for start in range(0, rows, GROUP_ROWS):
            file.write_table(draw_group(start, rows), GROUP_ROWS)


def write_csv(path: Path, rows: int) -> None:
    with csv.CSVWriter(path, make_table(draw(1)).schema) as file:
        for start in range(0, rows, GROUP_ROWS):
            file.write_table(draw_group(start, rows))


def draw_group(start: int, rows: int) -> pa.Table:
    return make_table(draw(min(GROUP_ROWS, rows - start), seed=start))


def publish_with_example(name: str, folder: Path) -> Path:
    """The pickle; scoring.py takes no model that it cannot try out."""
    estimator = fit(name)
    answer = estimator.predict_proba([[*INSTANCE.values()]])[0].tolist()
    example = {"inputs": INSTANCE, "probabilities": answer}
    version = publish(dump(estimator), folder, examples=[example])
    return folder / f"model_{version}.pkl"


def score(models: Path, source: Path, out: Path) -> Run:
    command = [sys.executable, str(ROOT / "backend/scoring.py"), str(source), str(out)]
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment(MODELS_DIR=models), stdout=subprocess.PIPE, text=True
    )
    with watching_memory(process.pid) as looks:
        said = process.communicate()[0]
        seconds = time.perf_counter() - started
    assert process.returncode == 0, said
    rate = float(re.search(r"Scored, ([\d,]+) rows a second", said)[1].replace(",", ""))
    rows = int(re.search(r" of ([\d,]+) rows", said)[1].replace(",", ""))
    early = looks[: max(1, len(looks) // 3)]
    return Run(rows, seconds, rate, max(early), max(looks))


def measure_bare(pickled: Path, rows: int, chunk: int, processes: int) -> float:
    """Rows a second of all processes, which begin together."""
    command = [sys.executable, "-c", BARE, str(pickled), str(rows), str(chunk)]
    start = partial(subprocess.Popen, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    started = [start(command, env=environment(), cwd=BENCH) for _ in range(processes)]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    return sum(rows / float(process.communicate()[0]) for process in started)


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
        shutil.rmtree(folder / "scored")


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
