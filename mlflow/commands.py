"""Does what the command line asks; its imports are quick, so that only a training takes time."""

import sys
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from errors import CommandFailed
from publishing.publisher import Publisher
from publishing.signing import complete_pair, read_signing_key
from reading.fetching import IRIS, fetch
from runs.unsent import NOTHING_KEPT, find_kept, send_kept
from table.phrases import count


class CannotSign(CommandFailed):
    """There is a key, but none that can be used."""


class NoTable(CommandFailed):
    """Iris would take the place of the table that the live model is of."""


class KeptByOlderVersion(CommandFailed):
    """There are runs that only an older version can send."""


def run(arguments: Namespace) -> int:
    """Return the exit code; raises CommandFailed, and OSError if a folder or a disk fails."""
    publisher = Publisher(arguments.models_dir, _find_key(arguments))
    if arguments.republish:
        path = publisher.republish(arguments.republish, datetime.now(UTC))
        print(f"Published {path}, a copy of {arguments.republish}")
    elif arguments.sync:
        _sync(arguments)
    elif arguments.first and publisher.has_model(arguments.name if arguments.data else None):
        print("A model is published already; no first training is needed.")
    else:
        return _train(arguments, publisher)
    return 0


def _find_key(arguments: Namespace) -> Ed25519PrivateKey | None:
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
    """A file that cannot be written keeps no model from being trained."""
    try:
        complete_pair(private, public)
    except OSError as error:
        print(f"The pair of keys is not complete: {error}.", file=sys.stderr)


def _sync(arguments: Namespace) -> None:
    older = [*arguments.unsent_dir.glob("run_*.joblib")]
    if find_kept(arguments.unsent_dir):
        from runs.tracker import connect  # noqa: PLC0415  # its imports take seconds

        send_kept(connect(arguments), arguments.unsent_dir)
    elif not older:
        print(NOTHING_KEPT)
    if older:
        kept = f"An older version kept {count(len(older), 'run')} in {arguments.unsent_dir}"
        advice = "Send them with that version's --sync, or remove them"
        raise KeptByOlderVersion(f"{kept}/run_*.joblib. {advice}.")


def _train(arguments: Namespace, publisher: Publisher) -> int:
    _require_table(arguments, publisher.read_live_manifest())
    file = fetch(arguments.data) if arguments.data else None
    from train import train  # noqa: PLC0415  # as above

    return train(arguments, file, publisher)


def _require_table(arguments: Namespace, live: dict[str, Any] | None) -> None:
    name = live.get("name", IRIS) if live else IRIS
    if name != IRIS and not (arguments.data or arguments.iris):
        raise NoTable(
            f"The live model is of the table {name}, and no table is given. Name it with --data, "
            "or with DATASET in .env; --iris trains on Iris, which then takes its place."
        )
