"""Trains, compares, logs and publishes a classifier: one run, start to end."""

import argparse
import codecs
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from errors import CommandFailed, hide_secrets
from files import become_owner

MAX_SEED = 2**32 - 1

SEVERAL: dict[str, Any] = {"action": "append", "default": []}  # an option that is repeated

# Codecs of Python in which no file is written; the backend refuses a manifest that names one.
NO_ENCODINGS = ("idna", "punycode", "raw-unicode-escape", "unicode-escape", "utf-7")

# The names in candidates.py, whose imports take a second.
CANDIDATES = (
    *("Baseline", "GaussianNB", "LinearDiscriminantAnalysis", "LogisticRegression"),
    *("QuadraticDiscriminantAnalysis", "KNeighborsClassifier", "CalibratedSVC"),
    *("KernelLogisticRegression", "ExtraTreesClassifier", "RandomForestClassifier"),
    "HistGradientBoostingClassifier",
)


def main() -> None:
    arguments = parse_arguments()
    directory: Path = arguments.models_dir
    if not directory.is_dir():
        sys.exit(f"There is no folder {directory}. Make it, or set MODELS_DIR to another.")
    if "DROP_ROOT" in os.environ:
        become_owner(directory)
    if not os.access(directory, os.W_OK):
        sys.exit(f"{directory} cannot be written. Check its owner, its mode and its mount.")
    if arguments.data and not arguments.target:
        sys.exit(f"Say which column of {arguments.data} is to be predicted: --target COLUMN.")
    if not (arguments.republish or arguments.sync or arguments.first):
        print(f"Training on {hide_secrets(arguments.data or 'Iris')}.", flush=True)
    try:
        sys.exit(_run_command(arguments))
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
    except OSError as error:
        sys.exit(f"Nothing was published: {error}. Fix it and train again.")


def _run_command(arguments: argparse.Namespace) -> int | str:
    """Return the exit code, or a message if the command failed."""
    # Its imports take seconds, and the first line is to be on the screen before that.
    from commands import run  # noqa: PLC0415

    try:
        return run(arguments)
    except CommandFailed as error:
        return str(error)


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The words are those of the command line by default; exits if they are wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    _add_table_options(parser)
    _add_training_options(parser)
    arguments = parser.parse_args(words)
    if arguments.iris:
        arguments.data = arguments.target = None
    of_table = ("target", "drop", "category", "keep", "merge_rare", "encoding", "sheet")
    if not arguments.data and any(getattr(arguments, option) for option in of_table):
        options = f"--{', --'.join(of_table[:-1])} and --{of_table[-1]}".replace("_", "-")
        parser.error(f"{options} are for a table: name it with --data")
    if arguments.with_feedback and (arguments.first or arguments.sync or arguments.republish):
        parser.error("--with-feedback is for a training: leave --first, --sync or --republish out")
    arguments.name = arguments.name or _name_of(arguments.data or "iris")
    _add_settings(arguments, os.environ)
    return arguments


def _add_table_options(parser: argparse.ArgumentParser) -> None:
    add, table = parser.add_argument, parser.add_mutually_exclusive_group()
    data, target = os.environ.get("DATASET") or None, os.environ.get("TARGET") or None
    said = "CSV, gzip of CSV, Parquet or .xlsx, a path or a URL; without it, Iris"
    table.add_argument("--data", metavar="FILE", default=data, help=said)
    said = "Iris, though the live model is of another table"
    table.add_argument("--iris", action="store_true", help=said)
    add("--target", metavar="COLUMN", default=target, help="the column to predict")
    add("--drop", metavar="COLUMN", **SEVERAL, help="leave this column out")
    said = "this column's cells are codes, not quantities, and its words are no missing values"
    add("--category", metavar="COLUMN", **SEVERAL, help=said)
    said = "keep this column, though it seems to number the rows or to be the answer"
    add("--keep", metavar="COLUMN", **SEVERAL, help=said)
    said = "make one class, other, of those with fewer than 5 rows"
    add("--merge-rare", action="store_true", help=said)
    said = "of text that is neither UTF-8 nor marked; without it, Windows-1252"
    add("--encoding", type=_encoding, metavar="NAME", help=said)
    add("--sheet", metavar="NAME", help="of a workbook; by default the first one with cells")


def _add_training_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--name", type=_name, help="of model and MLflow experiment; by default the file's")
    add("--seed", type=_seed, default=0, help="of folds, searches and forests (default 0)")
    add("--budget", type=_minutes, metavar="MINUTES", help="end the comparison after these")
    said = "compare this one with the baseline, and no others; may be given again"
    add("--only", metavar="CANDIDATE", choices=CANDIDATES, **SEVERAL, help=said)
    add("--with-feedback", action="store_true", help="learn from the backend's feedback too")
    add("--force", action="store_true", help="publish what is worse than the live model too")
    add("--first", action="store_true", help="train only where no model is published yet")
    add("--sync", action="store_true", help="send MLflow the trainings that it missed")
    add("--republish", metavar="VERSION", help="publish this older version again, untrained")


def _add_settings(arguments: argparse.Namespace, environment: Mapping[str, str]) -> None:
    arguments.models_dir = Path(environment.get("MODELS_DIR", "/models"))
    key = environment.get("MODEL_SIGNING_KEY", "/keys/model_signing_key.pem")
    arguments.signing_key = Path(key)
    public_key = environment.get("MODEL_PUBLIC_KEY")
    arguments.public_key = Path(public_key) if public_key else None
    unsent = Path(__file__).parent / "mlruns/unsent"
    arguments.unsent_dir = Path(environment.get("UNSENT_RUNS_DIR", unsent))
    arguments.tracking_uri = environment.get("MLFLOW_TRACKING_URI", "http://localhost:8003")
    arguments.backend_url = environment.get("BACKEND_URL") or "http://backend:8002"
    arguments.api_key = environment.get("API_KEY", "").partition(",")[0].strip()
    arguments.scheduler = environment.get("DASK_SCHEDULER_ADDRESS") or None
    arguments.ui_url = environment.get("MLFLOW_UI_URL", arguments.tracking_uri)


def _name(text: str) -> str:
    if not re.fullmatch(r"\w[\w -]{0,99}", text):
        raise argparse.ArgumentTypeError("use letters, digits, spaces, - and _, at most 100")
    return text


def _encoding(text: str) -> str:
    try:
        b"a".decode(text, errors="ignore")
        if codecs.lookup(text).name in NO_ENCODINGS:
            raise LookupError
    except (LookupError, UnicodeError):
        message = f"there is no encoding {text}; use a name like cp1250, shift_jis or gb18030"
        raise argparse.ArgumentTypeError(message) from None
    return text


def _name_of(source: str) -> str:
    """The file's name without its endings."""
    stem = Path(source.partition("?")[0]).name.split(".")[0]
    return re.sub(r"[^\w -]", "_", stem).strip(" -")[:100] or "table"


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) > MAX_SEED:
        raise argparse.ArgumentTypeError(f"use a whole number from 0 to {MAX_SEED}")
    return int(text)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < float("inf"):
        raise argparse.ArgumentTypeError("use a number of minutes above 0")
    return minutes


if __name__ == "__main__":
    main()
