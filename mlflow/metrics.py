"""Trains, compares, logs and publishes a classifier: one run, start to end."""

import argparse
import os
import re
import sys
from pathlib import Path

from errors import CommandFailed, hide_secrets
from files import become_owner

MAX_SEED = 2**32 - 1

# The names in candidates.py, whose imports take a second.
CANDIDATES = (
    *("Baseline", "GaussianNB", "LinearDiscriminantAnalysis", "LogisticRegression"),
    *("QuadraticDiscriminantAnalysis", "KNeighborsClassifier", "CalibratedSVC"),
    *("KernelLogisticRegression", "ExtraTreesClassifier", "RandomForestClassifier"),
    "HistGradientBoostingClassifier",
)


def main() -> None:
    arguments = _parse_arguments()
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
    """The exit code, or a message where the command failed."""
    # Its imports take seconds, and the first line is to be on the screen before that.
    from commands import run  # noqa: PLC0415

    try:
        return run(arguments)
    except CommandFailed as error:
        return str(error)


def _parse_arguments() -> argparse.Namespace:
    environment = os.environ
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    table = parser.add_mutually_exclusive_group()
    table.add_argument(
        "--data",
        metavar="FILE",
        default=environment.get("DATASET") or None,
        help="CSV, gzip of CSV or Parquet, a path or a URL; without it, Iris",
    )
    table.add_argument(
        "--iris", action="store_true", help="Iris, though the live model is of another table"
    )
    add(
        "--target",
        metavar="COLUMN",
        default=environment.get("TARGET") or None,
        help="the column to predict",
    )
    add("--drop", metavar="COLUMN", action="append", default=[], help="leave this column out")
    add(
        "--category",
        metavar="COLUMN",
        action="append",
        default=[],
        help="this column's numbers are codes, not quantities",
    )
    add("--name", type=_name, help="of model and MLflow experiment; by default the file's")
    add("--seed", type=_seed, default=0, help="of folds, searches and forests (default 0)")
    add("--budget", type=_minutes, metavar="MINUTES", help="end the comparison after these")
    add(
        "--only",
        choices=CANDIDATES,
        metavar="CANDIDATE",
        action="append",
        default=[],
        help="compare this one with the baseline, and no others; may be given again",
    )
    add("--with-feedback", action="store_true", help="learn from the backend's feedback too")
    add("--force", action="store_true", help="publish what is worse than the live model too")
    add("--first", action="store_true", help="train only where no model is published yet")
    add("--sync", action="store_true", help="send MLflow the trainings that it missed")
    add("--republish", metavar="VERSION", help="publish this older version again, untrained")
    arguments = parser.parse_args()
    if arguments.iris:
        arguments.data = arguments.target = None
    if not arguments.data and (arguments.target or arguments.drop or arguments.category):
        parser.error("--target, --drop and --category are for a table: name it with --data")
    if arguments.with_feedback and (arguments.first or arguments.sync or arguments.republish):
        parser.error("--with-feedback is for a training: leave --first, --sync or --republish out")
    arguments.name = arguments.name or _name_of(arguments.data or "iris")
    arguments.models_dir = Path(environment.get("MODELS_DIR", "/models"))
    arguments.signing_key = Path(
        environment.get("MODEL_SIGNING_KEY", "/keys/model_signing_key.pem")
    )
    public_key = environment.get("MODEL_PUBLIC_KEY")
    arguments.public_key = Path(public_key) if public_key else None
    unsent = Path(__file__).parent / "mlruns/unsent"
    arguments.unsent_dir = Path(environment.get("UNSENT_RUNS_DIR", unsent))
    arguments.tracking_uri = environment.get("MLFLOW_TRACKING_URI", "http://localhost:8003")
    arguments.backend_url = environment.get("BACKEND_URL") or "http://backend:8002"
    arguments.api_key = environment.get("API_KEY", "").partition(",")[0].strip()
    arguments.scheduler = environment.get("DASK_SCHEDULER_ADDRESS") or None
    arguments.ui_url = environment.get("MLFLOW_UI_URL", arguments.tracking_uri)
    return arguments


def _name(text: str) -> str:
    if not re.fullmatch(r"\w[\w -]{0,99}", text):
        raise argparse.ArgumentTypeError("use letters, digits, spaces, - and _, at most 100")
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
