"""Runs what the command line asks for."""

import argparse
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from addresses import hide_secrets
from datasets import IRIS, Dataset, make_dataset, read_iris
from delivery import Services, deliver, send_kept
from errors import CommandFailed
from feedback import add_feedback
from journal import read_labelled
from manifests import describe
from publishing import Publisher
from records import RecordFolder
from report import account
from signing import read_signing_key
from tables import read_table
from tracking import Tracker
from training import Options, train

SECONDS_TO_ANSWER = 1.0
SECONDS_TO_START = 120.0  # the server and the first training start at the same time
WORSE_THAN_LIVE = 3  # an exit code


class CannotSign(CommandFailed):
    """There is a key, but none that can be used."""


class NoTable(CommandFailed):
    """Iris would take the place of the table that the live model is of."""


def run(arguments: argparse.Namespace) -> int:
    """The exit code; raises CommandFailed, and OSError where a folder or a disk fails."""
    services = _connect(arguments)
    if arguments.republish:
        _republish(arguments.republish, services.publisher)
    elif arguments.sync:
        send_kept(services)
    elif arguments.first and _is_published(arguments, services.publisher):
        print("A model is published already; no first training is needed.")
    else:
        return _train(arguments, services)
    return 0


def _train(arguments: argparse.Namespace, services: Services) -> int:
    live = services.publisher.read_live_manifest()
    _require_table(arguments, live)
    dataset = _read(arguments)
    if arguments.with_feedback:
        dataset = _add_feedback(dataset, arguments)
    options = Options(arguments.seed, arguments.budget, arguments.scheduler)
    training = train(dataset, live, options)
    refused = training.is_worse and not arguments.force
    manifest = None if refused else describe(dataset, training.winner, training.record.models[0])
    deliver(training.record, manifest, services)
    if not refused:
        return 0
    print("Not published: the live model is better, by more than chance. --force publishes.")
    return WORSE_THAN_LIVE


def _require_table(arguments: argparse.Namespace, live: dict[str, Any] | None) -> None:
    name = live.get("name", IRIS) if live else IRIS
    if name != IRIS and not (arguments.data or arguments.iris):
        raise NoTable(
            f"The live model is of the table {name}, and no table is given. Name it with --data, "
            "or with DATASET in .env; --iris trains on Iris, which then takes its place."
        )


def _republish(version: str, publisher: Publisher) -> None:
    path = publisher.republish(version, datetime.now(UTC))
    print(f"Published {path}, a copy of {version}")


def _is_published(arguments: argparse.Namespace, publisher: Publisher) -> bool:
    """Whether there is a model at all, or one of the table that is given."""
    return publisher.has_model(arguments.name if arguments.data else None)


def _read(arguments: argparse.Namespace) -> Dataset:
    if not arguments.data:
        return read_iris()
    table = read_table(arguments.data, texts=arguments.category)
    name, target = arguments.name, arguments.target
    dataset = make_dataset(table, name, target, arguments.drop, arguments.category)
    return replace(dataset, source=hide_secrets(arguments.data))


def _add_feedback(dataset: Dataset, arguments: argparse.Namespace) -> Dataset:
    labelled = read_labelled(arguments.backend_url, arguments.api_key, dataset.name)
    addition = add_feedback(dataset, list(labelled))
    print(account(addition), flush=True)
    return addition.dataset


def _connect(arguments: argparse.Namespace) -> Services:
    try:
        key = read_signing_key(arguments.signing_key)
    except (OSError, ValueError) as error:
        raise CannotSign(f"The key {arguments.signing_key} cannot be used: {error}.") from None
    patience = SECONDS_TO_START if arguments.first else SECONDS_TO_ANSWER
    tracker = Tracker(arguments.tracking_uri, arguments.ui_url, patience)
    publisher = Publisher(arguments.models_dir, key)
    return Services(tracker, RecordFolder(arguments.unsent_dir), publisher)
