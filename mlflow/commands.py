"""Runs what the command line asks for.

Nothing imported here takes long: what needs no training is answered at once.
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from errors import CommandFailed
from publishing.publisher import Publisher
from publishing.signing import complete_pair, read_signing_key
from runs.unsent import RecordFolder
from table.fetching import IRIS, fetch


class CannotSign(CommandFailed):
    """There is a key, but none that can be used."""


class NoTable(CommandFailed):
    """Iris would take the place of the table that the live model is of."""


def run(arguments: argparse.Namespace) -> int:
    """Return the exit code; raises CommandFailed, and OSError if a folder or a disk fails."""
    publisher = Publisher(arguments.models_dir, _find_key(arguments))
    if arguments.republish:
        path = publisher.republish(arguments.republish, datetime.now(UTC))
        print(f"Published {path}, a copy of {arguments.republish}")
    elif arguments.sync:
        _sync(arguments, publisher)
    elif arguments.first and publisher.has_model(arguments.name if arguments.data else None):
        print("A model is published already; no first training is needed.")
    else:
        return _train(arguments, publisher)
    return 0


def _find_key(arguments: argparse.Namespace) -> Ed25519PrivateKey | None:
    """Make it if there is none; None, with a remark, if models have to go unsigned."""
    path: Path = arguments.signing_key
    try:
        if arguments.public_key:
            _complete_pair(path, arguments.public_key)
        key = read_signing_key(path)
    except (OSError, ValueError) as error:
        raise CannotSign(f"The key {path} cannot be used: {error}.") from None
    if key is None:
        print(f"Models are published unsigned, as there is no key {path}.", file=sys.stderr)
    return key


def _complete_pair(private: Path, public: Path) -> None:
    """Nothing that cannot be written keeps a model from being trained."""
    try:
        complete_pair(private, public)
    except OSError as error:
        print(f"The pair of keys is not complete: {error}.", file=sys.stderr)


def _sync(arguments: argparse.Namespace, publisher: Publisher) -> None:
    if not RecordFolder(arguments.unsent_dir).find():
        print("Nothing was kept: MLflow has all trainings.")
        return
    from trainer import sync  # noqa: PLC0415  # its imports take seconds

    sync(arguments, publisher)


def _train(arguments: argparse.Namespace, publisher: Publisher) -> int:
    live = publisher.read_live_manifest()
    _require_table(arguments, live)
    raw = fetch(arguments.data) if arguments.data else None
    from trainer import read, train_and_deliver  # noqa: PLC0415  # as above

    dataset = read(arguments, raw)
    del raw  # or a large table would be held twice during the training
    return train_and_deliver(arguments, dataset, live, publisher)


def _require_table(arguments: argparse.Namespace, live: dict[str, Any] | None) -> None:
    name = live.get("name", IRIS) if live else IRIS
    if name != IRIS and not (arguments.data or arguments.iris):
        raise NoTable(
            f"The live model is of the table {name}, and no table is given. Name it with --data, "
            "or with DATASET in .env; --iris trains on Iris, which then takes its place."
        )
