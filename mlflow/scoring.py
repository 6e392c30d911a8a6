"""Scores a table of any size with a published model: a file or a folder, in parts, on all cores."""

import argparse
import os
import sys
from pathlib import Path

from errors import CommandFailed
from jobs import Output
from ownership import become_owner
from sources import require_there
from verification import Selection, find_version, read_trust


class Overlap(CommandFailed):
    """What is read is what would be written."""


def main() -> None:
    arguments = _parse_arguments()
    try:
        if "DROP_ROOT" in os.environ:
            become_owner(_find_folder(arguments.output))
        sys.exit(_run(arguments))
    except CommandFailed as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("\nStopped. The same command goes on from here.")
    except OSError as error:
        sys.exit(f"{error}. Mend that, and the same command goes on from here.")


def _run(arguments: argparse.Namespace) -> int:
    """Return the exit code; raises CommandFailed or OSError.

    It refuses what it can before the imports that take seconds.
    """
    _require_apart(arguments.input, arguments.output)
    require_there(arguments.input)
    output = Output(arguments.output)
    output.require_usable()
    selection = _select(arguments.version or output.read_state().get("version"))
    from scorer import run  # noqa: PLC0415

    return run(arguments.input, output, selection)


def _select(wanted: str | None) -> Selection:
    """The wanted version, by default the newest; raises CommandFailed."""
    environment = os.environ
    trust = read_trust(
        environment.get("MODEL_TRUST") or "auto",
        Path(environment.get("MODEL_PUBLIC_KEY", "/keys/model_public_key.pem")),
        Path(environment.get("MODEL_SIGNING_KEY", "/keys/model_signing_key.pem")),
    )
    directory = Path(environment.get("MODELS_DIR", "/models"))
    return Selection(directory, find_version(directory, wanted), trust)


def _find_folder(path: Path) -> Path:
    """The deepest that is there, as far as root may look, which can enter no folder of others."""
    folders = (path, *path.absolute().parents)
    return next(it for it in folders if os.path.isdir(it))  # noqa: PTH112  # it raises nothing


def _require_apart(source: Path, output: Path) -> None:
    """Raises Overlap."""
    read, written = source.resolve(), output.resolve()
    if read == written or (written.is_relative_to(read) and read.is_dir()):
        raise Overlap(f"OUT is {source}, or lies in it. Name another OUT.")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input", metavar="IN", type=Path, help="CSV, gzip of CSV or Parquet")
    parser.add_argument(
        "output",
        metavar="OUT",
        type=Path,
        help="a file where it ends in .csv or .parquet, else a folder of a file for each part",
    )
    parser.add_argument("--version", help="of the model; by default the newest")
    arguments = parser.parse_args()
    arguments.output = arguments.output.absolute()
    return arguments


if __name__ == "__main__":
    main()
