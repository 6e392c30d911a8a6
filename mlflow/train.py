"""One training, from the table to the published model."""

import sys
import time
from argparse import Namespace
from contextlib import closing
from typing import IO

from parallel.cluster import hire
from publishing.manifest import describe, describe_features
from publishing.publisher import Publisher, publish
from runs.tracker import connect
from runs.unsent import logged
from table.dataset import Dataset, read_dataset
from training import report
from training.candidates import Candidate, list_candidates, select
from training.comparison import Comparison, Means, Setting, choose, compare, find_runner_up, prepare
from training.evaluation import refit
from training.explanation import draw, explain
from training.feedback import add_feedback, read_labelled
from training.rival import find_rivals, is_worse

WORSE_THAN_LIVE = 3  # an exit code


def train(arguments: Namespace, file: IO[bytes] | None, publisher: Publisher) -> int:
    """Train on the table in the file, or on Iris without one, and return the exit code.

    Raises CommandFailed, and OSError if a folder or a disk fails.
    """
    tracker, live = connect(arguments), publisher.read_live_manifest()
    dataset = _read_table(arguments, file)
    features = describe_features(dataset)  # first: a table too wide for a manifest ends here
    known = list_candidates(arguments.seed)
    candidates = select(known, arguments.only, len(dataset.X))
    rivals = find_rivals(live, known, dataset) if live else []
    setting = prepare(dataset, arguments.seed)
    print(report.headline(dataset, setting.dataset), flush=True)
    comparison, workers = _compare([*rivals, *candidates], len(rivals), setting, arguments)
    results = comparison.require(candidates, arguments.only)
    winner = choose(results)
    print(report.tabulate(comparison, results, winner), flush=True)
    is_beaten = any(is_worse(winner, rival) for rival in comparison.of(rivals))
    best = [winner, *find_runner_up(results, winner)]
    models = refit([result.candidate for result in best], setting.dataset, dataset, setting.seed)
    manifest = describe(dataset, features, winner, models[0])
    params = {"budget": arguments.budget, "only": ", ".join(arguments.only) or None}
    params |= {"seed": arguments.seed, "cluster_workers": workers}
    run = report.make_run(dataset, comparison, models, params)
    run.files |= draw(results, winner, explain(winner, setting))
    with logged(run, tracker, arguments.unsent_dir) as tracked:
        if arguments.force or not is_beaten:
            publish(run.best_model, manifest | {"mlflow": tracked}, publisher, run.tags)
            return 0
        run.tags["not_published"] = "worse than the live model"
    print("Not published: the live model is better, by more than chance. --force publishes.")
    return WORSE_THAN_LIVE


def _read_table(arguments: Namespace, file: IO[bytes] | None) -> Dataset:
    dataset = read_dataset(arguments, file)
    if not arguments.with_feedback:
        return dataset
    labelled = read_labelled(arguments.backend_url, arguments.api_key, dataset.name)
    addition = add_feedback(dataset, list(labelled))
    print(report.account(addition), flush=True)
    return addition.dataset


def _compare(
    candidates: list[Candidate], rivals: int, setting: Setting, arguments: Namespace
) -> tuple[Comparison, int]:
    """Return the number of workers, too. No budget is too short for rivals and the simplest."""
    with hire(arguments.scheduler) as crew:
        if crew.workers:
            print(report.count_workers(crew.workers, crew.cores), flush=True)
        deadline = time.monotonic() + 60 * (arguments.budget or float("inf"))
        means = Means(crew.run, deadline, vital=rivals + 1)
        with closing(report.Progress(candidates, crew.cores, sys.stdout)) as progress:
            return compare(candidates, setting, progress.report, means), crew.workers
