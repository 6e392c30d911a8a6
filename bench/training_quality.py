"""Measures whether the published model is good, and whether its printed estimate is true.

    make bench

Four tables of scikit-learn, of each 30 % held out five times. Printed by candidate: the estimate of
the comparison and the log loss on what was held out; then what was chosen, how often estimate and
hold-out differ by less than two standard errors of their difference, and how long a training took.
"""

import statistics
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn import datasets as tables
from sklearn.model_selection import train_test_split

sys.path.insert(0, str(Path(__file__).parent.parent / "mlflow"))
from parallel.cores import run
from reading.formats import Table
from table.dataset import Dataset, make_dataset
from training.candidates import Candidate, list_candidates
from training.comparison import Setting, choose, compare, split
from training.evaluation import fit, search

SEEDS = range(5)
# The better of the best of scikit-learn's defaults and an AutoML library given 30 s.
GOALS = {"iris": 0.036, "wine": 0.043, "breast_cancer": 0.096, "digits": 0.103}


class Task(NamedTuple):
    candidate: Candidate
    held_out: pd.DataFrame

    @property
    def name(self) -> str:
        return self.candidate.name


class Round(NamedTuple):
    """By candidate the estimate with its error, and the held-out rows' losses."""

    estimates: dict[str, tuple[float, float]]
    losses: dict[str, np.ndarray]
    chosen: str
    seconds: float


def lose(dataset: Dataset, task: Task) -> np.ndarray:
    """Of the candidate trained on all of the dataset, the loss of each held-out row."""
    pipeline = fit(task.candidate, search(task.candidate, dataset, seed=0), dataset)
    probabilities = pipeline.predict_proba(task.held_out[dataset.X.columns])
    labels = task.held_out[dataset.target].astype(str)
    place = np.searchsorted(pipeline.classes_, labels)
    given = probabilities[np.arange(len(labels)), place]
    return -np.log(np.clip(given, np.finfo(given.dtype).eps, 1))


def measure(name: str, seed: int) -> Round:
    frame = getattr(tables, f"load_{name}")(as_frame=True).frame
    given, held_out = train_test_split(
        frame, test_size=0.3, stratify=frame["target"], random_state=seed
    )
    dataset = make_dataset(Table(given.reset_index(drop=True), ""), name, "target")
    started = time.perf_counter()
    results = compare(list_candidates(0), Setting(dataset, split(dataset, 0), 0)).results
    chosen = choose(results).name
    seconds = time.perf_counter() - started
    summaries = {result.name: result.summary()["log_loss"] for result in results}
    tasks = [Task(result.candidate, held_out) for result in results]
    return Round(
        {name: (loss["mean"], loss["standard_error"]) for name, loss in summaries.items()},
        {
            task.name: losses
            for task, losses in run(lose, tasks, dataset)
            if isinstance(losses, np.ndarray)  # and no Failure
        },
        chosen,
        seconds,
    )


def is_true(one: Round) -> bool:
    """Whether the chosen candidate's estimate is within two errors of the hold-out's loss."""
    estimate, error = one.estimates[one.chosen]
    losses = one.losses[one.chosen]
    both = np.hypot(error, losses.std(ddof=1) / np.sqrt(len(losses)))
    return abs(estimate - losses.mean()) < 2 * both


def report(name: str, rounds: list[Round]) -> None:
    print(f"\n{name:<32}{'estimate':>10}{'hold-out':>10}{'chosen':>8}")
    for candidate in rounds[0].estimates:
        estimate = statistics.mean(one.estimates[candidate][0] for one in rounds)
        loss = statistics.mean(one.losses[candidate].mean() for one in rounds)
        chosen = sum(one.chosen == candidate for one in rounds)
        print(f"{candidate:<32}{estimate:>10.3f}{loss:>10.3f}{chosen or '':>8}")
    published = statistics.mean(one.losses[one.chosen].mean() for one in rounds)
    seconds = max(one.seconds for one in rounds)
    print(
        f"published {published:.4f}, goal {GOALS[name]}; a comparison took {seconds:.0f} s at most"
    )


def main() -> None:
    true = 0
    for name in GOALS:
        rounds = [measure(name, seed) for seed in SEEDS]
        true += sum(map(is_true, rounds))
        report(name, rounds)
    print(f"\nestimates within two standard errors of the hold-out: {true} of 20")


if __name__ == "__main__":
    main()
