"""Logs and publishes what a training made, and keeps for later what MLflow cannot take now."""

import hashlib
import sys
from datetime import UTC, datetime
from typing import Any, NamedTuple

from publishing.publisher import Publisher
from runs.record import Record
from runs.tracker import TrackedRun, Tracker, TrackingUnavailable
from runs.unsent import RecordFolder, read_record


class Services(NamedTuple):
    """Where the results of a training go."""

    tracker: Tracker
    records: RecordFolder
    publisher: Publisher


def deliver(record: Record, manifest: dict[str, Any] | None, services: Services) -> None:
    """Log the record, and publish its first model where there is a manifest for it.

    Raises OSError when the model cannot be written; nothing of it is then published.
    """
    run = _log(record, services.tracker)
    try:
        if manifest:
            described = {**manifest, "mlflow": run._asdict() if run else None}
            _publish(record, described, services.publisher)
        else:
            record.tags["not_published"] = "worse than the live model"
    finally:
        _close(record, services)


def send_kept(services: Services) -> None:
    """Send every record that was kept; raises TrackingUnavailable where one does not go through."""
    for path in services.records.find():
        record = read_record(path)
        try:
            if record.run_id is None:
                services.tracker.log(record)
            services.tracker.close(record)
        except TrackingUnavailable:
            services.records.keep(record)  # with what has been begun
            raise
        path.unlink()
        print(f"Logged {services.tracker.address(record)}", flush=True)


def _log(record: Record, tracker: Tracker) -> TrackedRun | None:
    try:
        run = tracker.log(record)
        print(f"Logged {tracker.address(record)}", flush=True)
    except TrackingUnavailable as error:
        print(f"Not logged: {error}", file=sys.stderr)
        return None
    return run


def _publish(record: Record, manifest: dict[str, Any], publisher: Publisher) -> None:
    path = publisher.publish(record.models[0].pipeline, manifest, datetime.now(UTC))
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    record.tags |= {"model_file": path.name, "sha256": sha256}
    record.published = True
    print(f"Published {path}", flush=True)


def _close(record: Record, services: Services) -> None:
    """What has not been logged whole is kept, so that `--sync` sends it."""
    try:
        if record.run_id:
            services.tracker.close(record)
            return
    except TrackingUnavailable as error:
        print(f"Not logged to its end: {error}", file=sys.stderr)
    try:
        path = services.records.keep(record)
    except OSError as error:
        print(f"The run cannot be kept either: {error}.", file=sys.stderr)
        return
    print(f"The run is kept in {path}; metrics.py --sync sends it.", file=sys.stderr)
