"""Trains, logs and publishes as the command line asks; its imports take seconds."""

import argparse
from dataclasses import replace
from typing import Any

from addresses import hide_secrets
from publishing.features import describe_features
from publishing.manifest import describe
from publishing.publisher import Publisher
from runs.delivery import Services, deliver, send_kept
from runs.tracker import Tracker
from runs.unsent import RecordFolder
from table.dataset import Dataset, make_dataset, read_iris
from table.reading import parse_table
from training.feedback import add_feedback
from training.labels import read_labelled
from training.report import account
from training.train import Options, train

SECONDS_TO_ANSWER = 1.0
SECONDS_TO_START = 120.0  # the server and the first training start at the same time
WORSE_THAN_LIVE = 3  # an exit code


def sync(arguments: argparse.Namespace, publisher: Publisher) -> None:
    """Send MLflow what was kept; raises TrackingUnavailable."""
    send_kept(_connect(arguments, publisher))


def read(arguments: argparse.Namespace, raw: bytes | None) -> Dataset:
    """Return the table in these bytes, or Iris if there are none; raises UnusableTable."""
    if raw is None:
        return read_iris()
    table = parse_table(raw, arguments.data, texts=arguments.category)
    name, target = arguments.name, arguments.target
    dataset = make_dataset(table, name, target, arguments.drop, arguments.category)
    return replace(dataset, source=hide_secrets(arguments.data))


def train_and_deliver(
    arguments: argparse.Namespace,
    dataset: Dataset,
    live: dict[str, Any] | None,
    publisher: Publisher,
) -> int:
    """Train, compare with the live model of this manifest, and return the exit code.

    Raises CommandFailed and OSError.
    """
    services = _connect(arguments, publisher)
    if arguments.with_feedback:
        dataset = _add_feedback(dataset, arguments)
    features = describe_features(dataset)  # first: a table too wide for a manifest ends here
    options = Options(arguments.seed, arguments.budget, arguments.scheduler, tuple(arguments.only))
    training = train(dataset, live, options)
    refused = training.is_worse and not arguments.force
    winner, model = training.winner, training.record.models[0]
    manifest = None if refused else describe(dataset, features, winner, model)
    deliver(training.record, manifest, services)
    if not refused:
        return 0
    print("Not published: the live model is better, by more than chance. --force publishes.")
    return WORSE_THAN_LIVE


def _connect(arguments: argparse.Namespace, publisher: Publisher) -> Services:
    patience = SECONDS_TO_START if arguments.first else SECONDS_TO_ANSWER
    tracker = Tracker(arguments.tracking_uri, arguments.ui_url, patience)
    return Services(tracker, RecordFolder(arguments.unsent_dir), publisher)


def _add_feedback(dataset: Dataset, arguments: argparse.Namespace) -> Dataset:
    labelled = read_labelled(arguments.backend_url, arguments.api_key, dataset.name)
    addition = add_feedback(dataset, list(labelled))
    print(account(addition), flush=True)
    return addition.dataset
