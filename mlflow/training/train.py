"""One training, from the table to what is to be logged and published."""

import sys
import time
from typing import NamedTuple

from errors import CommandFailed
from running.cluster import hire
from running.cores import Failure, run
from runs.record import Model, Record, make_record
from table.dataset import Dataset
from training import report
from training.candidates import Candidate, list_candidates
from training.comparison import (
    Means,
    Outcome,
    Result,
    Setting,
    choose,
    compare,
    find_runner_up,
    list_tasks,
    split,
)
from training.evaluation import Refit, refit
from training.explanation import explain
from training.figures import draw
from training.progress import Progress
from training.rival import NotComparable, is_worse, make_rival

SEARCH_ROWS = 20_000  # more tell candidates no further apart


class TrainingFailed(CommandFailed):
    """Not one candidate could be trained."""


class Options(NamedTuple):
    """`budget` is in minutes and ends the comparison; `scheduler` is the address of a cluster's.

    `only` names the candidates to compare with the baseline; without any, all are compared.
    """

    seed: int
    budget: float | None = None
    scheduler: str | None = None
    only: tuple[str, ...] = ()


class Training(NamedTuple):
    """`is_worse` says that the winner loses to the live model, by more than chance."""

    winner: Result
    record: Record
    is_worse: bool


def train(dataset: Dataset, live: dict[str, object] | None, options: Options) -> Training:
    """Compare the candidates, and the live model of this manifest where that is possible.

    Raises TrainingFailed.
    """
    known = list_candidates(options.seed)
    candidates = _leave_out_slow(_select(known, options.only), dataset)
    rivals = _find_rival(live, known, dataset)
    sample = dataset.sample(SEARCH_ROWS, options.seed)
    setting = Setting(sample, split(sample, options.seed), options.seed)
    print(report.headline(dataset, sample), flush=True)
    outcome, workers = _compare(candidates, rivals, setting, options)
    results = [result for result in outcome.results if result.candidate not in rivals]
    if not results:
        raise TrainingFailed(report.list_failures(outcome))
    if options.only and not any(result.name in options.only for result in results):
        said = "Not one of the candidates that --only names could be compared, nothing is published"
        raise TrainingFailed("\n".join(filter(None, (report.list_failures(outcome), f"{said}."))))
    winner = choose(results)
    print(report.tabulate(outcome, results, winner), flush=True)
    models = _fit(dataset, setting, [winner, *find_runner_up(results, winner)])
    params: dict[str, object] = {"seed": options.seed, "budget": options.budget}
    params |= {"only": ", ".join(options.only) or None, "cluster_workers": workers}
    record = make_record(dataset, outcome, winner, models, params)
    record.files |= draw(results, winner, explain(winner, setting))
    rival = [result for result in outcome.results if result.candidate in rivals]
    return Training(winner, record, any(is_worse(winner, result) for result in rival))


def _select(known: list[Candidate], names: tuple[str, ...]) -> list[Candidate]:
    """The baseline, which is the first, and those of these names; without any, all."""
    return [it for it in known if not names or it is known[0] or it.name in names]


def _leave_out_slow(candidates: list[Candidate], dataset: Dataset) -> list[Candidate]:
    rows = len(dataset.X)
    slow = [it for it in candidates if it.max_rows and it.max_rows < rows]
    for candidate in slow:
        print(f"{candidate.name} is left out: it is for up to {candidate.max_rows:,} rows.")
    return [it for it in candidates if it not in slow]


def _find_rival(
    live: dict[str, object] | None, candidates: list[Candidate], dataset: Dataset
) -> list[Candidate]:
    """The live model as a candidate, or none."""
    if live is None:
        return []
    try:
        return [make_rival(live, candidates, dataset)]
    except NotComparable as reason:
        print(f"{reason}, so it is not compared.")
        return []


def _compare(
    candidates: list[Candidate], rivals: list[Candidate], setting: Setting, options: Options
) -> tuple[Outcome, int]:
    """However short the budget, there is the simplest candidate, and the live model beside it.

    Also, on how many workers of a cluster.
    """
    everyone = [*rivals, *candidates]
    with hire(options.scheduler) as crew:
        if crew.workers:
            print(report.count_workers(crew.workers, crew.cores), flush=True)
        progress = Progress(list_tasks(everyone, setting), crew.cores, sys.stdout)
        minutes = options.budget or float("inf")
        means = Means(crew.run, time.monotonic() + 60 * minutes, vital=len(rivals) + 1)
        try:
            return compare(everyone, setting, progress.report, means), crew.workers
        finally:
            progress.clear()


def _fit(dataset: Dataset, setting: Setting, results: list[Result]) -> list[Model]:
    """Raises TrainingFailed where the first cannot be fitted; the others may be missing."""
    tasks = [Refit(it.candidate, setting.dataset, setting.seed) for it in results]
    found = {task.name: fitted for task, fitted in run(refit, tasks, dataset)}
    first = found[tasks[0].name]
    if isinstance(first, Failure):
        raise TrainingFailed(f"{tasks[0].name} failed on all rows: {first.reason}.")
    fitted = ((task.name, found[task.name]) for task in tasks)
    return [Model(name, it) for name, it in fitted if not isinstance(it, Failure)]
