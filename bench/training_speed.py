"""Measures how long a training takes, and how much memory.

    make bench

Iris by metrics.py against the same fits by scikit-learn's own means on the same cores, with the
time to the first line and that of logging; then tables of 20 columns from a thousand rows to a
million, to a published model.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from load import watching_memory
from processes import ROOT, environment, running_mlflow
from sklearn.datasets import make_classification

ROUNDS = 3
ROWS = (1_000, 10_000, 100_000, 1_000_000)
COLUMNS = 20

# The same candidates, grids and folds, as the documentation of scikit-learn does it.
PLAIN = """
import time
started = time.perf_counter()
import sys, warnings
sys.path.insert(0, sys.argv[1])
from sklearn.model_selection import (
    GridSearchCV, RepeatedStratifiedKFold, StratifiedKFold, cross_validate)
from training.candidates import list_candidates, name_steps
from table.dataset import read_iris
if __name__ == "__main__":
    warnings.simplefilter("ignore")
    iris = read_iris()
    folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0)
    for candidate in list_candidates(0):
        search = GridSearchCV(
            candidate.build(iris), name_steps(candidate.grid), scoring="neg_log_loss",
            cv=StratifiedKFold(3, shuffle=True, random_state=0))
        cross_validate(search, iris.X, iris.y, cv=folds, n_jobs=int(sys.argv[2]))
    print(time.perf_counter() - started)
"""

LOGGING = """
import sys, time
sys.path.insert(0, sys.argv[1])
from training.comparison import Setting, choose, compare, split
from training.candidates import list_candidates
from table.dataset import read_iris
from training.evaluation import FittedModel, fit, search
from training.explanation import draw, explain
from training.report import make_run
from runs.tracker import Tracker
if __name__ == "__main__":
    iris = read_iris()
    setting = Setting(iris, split(iris, 0), 0)
    candidates = list_candidates(0)
    comparison = compare(candidates[:4], setting)
    models = [
        FittedModel(each.name, fit(each, search(each, iris, 0), iris)) for each in candidates[2:4]]
    winner = comparison.results[2]
    images = draw(comparison.results, winner, explain(winner, setting))
    # Runs are what takes time: as many as a whole training has.
    comparison = comparison._replace(results=(comparison.results * 3)[:11])
    for _ in range(3):
        started = time.perf_counter()
        run = make_run(iris, comparison, models, {"seed": 0})
        run.files |= images
        tracker = Tracker(sys.argv[2], sys.argv[2], patience=1)
        tracker.log(run)
        run.tags = {"model_file": "model", "sha256": ""}
        tracker.close(run)
        print(time.perf_counter() - started)
"""


class Run(NamedTuple):
    """Seconds, and the most megabytes that all its processes had at once."""

    first_line: float
    seconds: float
    memory: float
    output: str


def train(tracking_uri: str, *arguments: str) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        variables = environment(
            MODELS_DIR=folder, UNSENT_RUNS_DIR=folder, MLFLOW_TRACKING_URI=tracking_uri
        )
        command = [sys.executable, str(ROOT / "mlflow/metrics.py"), *arguments]
        started = time.perf_counter()
        process = subprocess.Popen(
            command, env=variables, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        with watching_memory(process.pid) as looks:
            first = process.stdout.readline()
            first_line = time.perf_counter() - started
            output = first + process.stdout.read()
            assert process.wait() == 0, output
            seconds = time.perf_counter() - started
        return Run(first_line, seconds, max(looks), output)


def run_script(script: str, *arguments: str) -> list[float]:
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(script)
        file.flush()
        command = [sys.executable, file.name, str(ROOT / "mlflow"), *arguments]
        done = subprocess.run(
            command, env=environment(), check=True, stdout=subprocess.PIPE, text=True
        )
    return [float(line) for line in done.stdout.split()]


def compare_with_scikit_learn(server: str) -> None:
    cores = len(os.sched_getaffinity(0))
    print("Iris, seconds    metrics.py  first line  plain, 1 job  plain, all cores    ratio")
    for number in range(ROUNDS):
        ours = train(server)
        [one] = run_script(PLAIN, "1")
        [every] = run_script(PLAIN, str(cores))
        print(
            f"round {number + 1:<11}{ours.seconds:>10.1f}{ours.first_line:>12.2f}{one:>14.1f}"
            f"{every:>18.1f}{ours.seconds / every:>9.2f}",
            flush=True,
        )
    logging = run_script(LOGGING, server)
    print(f"logging to MLflow: {' '.join(f'{seconds:.2f}' for seconds in logging)} s")


def grow(server: str) -> None:
    print(f"\n{'rows':>10}{'seconds':>9}{'GiB':>6}  chosen")
    with tempfile.TemporaryDirectory() as folder:
        for rows in ROWS:
            X, y = make_classification(
                rows, COLUMNS, n_informative=10, n_classes=3, flip_y=0.05, random_state=0
            )
            path = Path(folder) / f"rows_{rows}.csv"
            frame = pd.DataFrame(X.round(4)).add_prefix("x").assign(label=y)
            frame.to_csv(path, index=False)
            del X, y, frame
            done = train(server, "--data", str(path), "--target", "label")
            chosen = next(line for line in done.output.splitlines() if line.startswith("Chosen"))
            gibibytes = done.memory * 1e6 / 2**30
            print(f"{rows:>10,}{done.seconds:>9.0f}{gibibytes:>6.1f}  {chosen}", flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        # A model that is there already, so that the server's own first training is not in the way.
        (Path(folder) / "model.pkl").write_text(json.dumps({}))
        with running_mlflow(Path(folder), Path(folder)) as server:
            compare_with_scikit_learn(server)
            grow(server)


if __name__ == "__main__":
    main()
