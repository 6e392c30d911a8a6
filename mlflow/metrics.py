"""Trains, compares, logs and publishes a classifier: one run, start to end."""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from candidates import list_candidates, read_params
from comparison import FOLDS, REPEATS, Result, choose, compare
from datasets import Dataset, describe_features, read_iris
from ownership import become_owner
from publishing import CannotRepublish, Publisher, library_versions
from signing import read_signing_key
from tracking import TrackedRun, Tracker, TrackingUnavailable

SECONDS_TO_ANSWER = 2.0
SECONDS_TO_START = 120.0  # the server and the first training start at the same time


def main() -> None:
    arguments = _parse_arguments()
    directory: Path = arguments.models_dir
    if not directory.is_dir():
        sys.exit(f"There is no folder {directory}. Make it, or set MODELS_DIR to another.")
    if "DROP_ROOT" in os.environ:
        become_owner(directory)
    if not os.access(directory, os.W_OK):
        sys.exit(f"{directory} cannot be written. Check its owner, its mode and its mount.")
    publisher = Publisher(directory, _read_key(arguments.signing_key))
    if arguments.republish:
        _republish(publisher, arguments.republish)
        return
    if arguments.first and publisher.has_model():
        print("A model is published already; no first training is needed.")
        return
    patience = SECONDS_TO_START if arguments.first else SECONDS_TO_ANSWER
    tracker = Tracker(arguments.tracking_uri, arguments.ui_url, patience)
    try:
        train(read_iris(), tracker, publisher, arguments.seed)
    except KeyboardInterrupt:
        sys.exit("\nStopped; nothing was published.")
    except OSError as error:
        sys.exit(f"Nothing was published: {error}. Mend that and train again.")


def train(dataset: Dataset, tracker: Tracker, publisher: Publisher, seed: int) -> None:
    """Raises OSError when the model cannot be written; nothing of it is then published."""
    print(_headline(dataset), flush=True)
    results = compare(list_candidates(seed), dataset, seed)
    winner = choose(results)
    print(_table(results, winner), flush=True)
    winner.pipeline.fit(dataset.X, dataset.y)
    run = _track(tracker, dataset, results, winner)
    manifest = _describe(dataset, winner, run)
    try:
        path = publisher.publish(winner.pipeline, manifest, datetime.now(UTC))
    except OSError:
        tracker.close(run, model_file=None)
        raise
    tracker.close(run, model_file=path.name)
    print(f"Published {path}")


def _parse_arguments() -> argparse.Namespace:
    environment = os.environ
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of folds and forests (default 0)")
    parser.add_argument(
        "--first", action="store_true", help="train only where no model is published yet"
    )
    parser.add_argument(
        "--republish", metavar="VERSION", help="publish this older version again, untrained"
    )
    arguments = parser.parse_args()
    arguments.models_dir = Path(environment.get("MODELS_DIR", "/models"))
    key = environment.get("MODEL_SIGNING_KEY", "/keys/model_signing_key.pem")
    arguments.signing_key = Path(key)
    arguments.tracking_uri = environment.get("MLFLOW_TRACKING_URI", "http://localhost:8003")
    arguments.ui_url = environment.get("MLFLOW_UI_URL", arguments.tracking_uri)
    return arguments


def _read_key(path: Path) -> Ed25519PrivateKey | None:
    try:
        return read_signing_key(path)
    except (OSError, ValueError) as error:
        sys.exit(f"Nothing can be signed with {path}: {error}.")


def _republish(publisher: Publisher, version: str) -> None:
    try:
        path = publisher.republish(version, datetime.now(UTC))
    except (CannotRepublish, OSError) as error:
        sys.exit(f"Nothing was published. {error}")
    print(f"Published {path}, a copy of {version}")


def _track(
    tracker: Tracker, dataset: Dataset, results: list[Result], winner: Result
) -> TrackedRun | None:
    try:
        run = tracker.log(dataset, results, winner)
    except TrackingUnavailable as error:
        print(f"Not logged: {error} The model is published all the same.", file=sys.stderr)
        return None
    print(f"Logged {tracker.address(run)}", flush=True)
    return run


def _describe(dataset: Dataset, winner: Result, run: TrackedRun | None) -> dict[str, Any]:
    """All of the manifest that the file itself does not tell."""
    classes = winner.pipeline.classes_
    return {
        "name": dataset.name,
        "features": describe_features(dataset),
        "target": {"name": dataset.target, "classes": [str(label) for label in classes]},
        "estimator": winner.name,
        "params": read_params(winner.pipeline),
        "metrics": winner.summary(),
        "dataset": {"name": dataset.name, "rows": len(dataset.X), "sha256": dataset.sha256},
        "libraries": library_versions(),
        "mlflow": run._asdict() if run else None,
        "examples": _examples(dataset, winner),
    }


def _examples(dataset: Dataset, winner: Result) -> list[dict[str, Any]]:
    """The first row of each class and what the model says of it."""
    rows = dataset.X[~dataset.y.duplicated()]
    probabilities = winner.pipeline.predict_proba(rows)
    return [
        {"inputs": inputs, "probabilities": answer}
        for inputs, answer in zip(rows.to_dict("records"), probabilities.tolist(), strict=True)
    ]


def _headline(dataset: Dataset) -> str:
    rows, features = dataset.X.shape
    return (
        f"Comparing candidates on {dataset.name}: {rows} rows, {features} features, "
        f"{dataset.y.nunique()} classes; {FOLDS} folds, repeated {REPEATS} times.\n"
    )


def _table(results: list[Result], winner: Result) -> str:
    lines = [f"{'candidate':<28}{'log loss':>17}{'accuracy':>17}{'fit ms':>9}"]
    for result in results:
        summary = result.summary()
        scores = "".join(
            f"{summary[metric]['mean']:>9.3f} ± {summary[metric]['std']:.3f}"
            for metric in ("log_loss", "accuracy")
        )
        lines.append(f"{result.name:<28}{scores}{result.fit_seconds.mean() * 1000:>9.1f}")
    chosen = (
        f"\nChosen {winner.name}: the lowest mean log loss (± is its deviation over the folds).\n"
    )
    return "\n".join(lines) + "\n" + chosen


if __name__ == "__main__":
    main()
