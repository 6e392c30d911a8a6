"""Keeps a training's run while MLflow is away, and sends it later."""

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from zipfile import ZipFile

from errors import CommandFailed, RunNotTaken, TrackingUnavailable
from files import locked, write_whole
from runs.training_run import CandidateRun, TrainingRun

if TYPE_CHECKING:  # its import takes seconds
    from runs.tracker import Tracker


NOTHING_KEPT = "Nothing was kept: MLflow has all trainings."


class CannotReadRun(CommandFailed):
    """A kept run is damaged, or of another version."""


class RunsStuck(CommandFailed):
    """Some kept runs cannot be sent; the message has a line for each."""


def find_kept(directory: Path) -> list[Path]:
    """Oldest first."""
    return sorted(directory.glob("run_*.zip"))


def keep(run: TrainingRun, directory: Path) -> Path:
    """Write a file that is whole or not there; raises OSError if it cannot be written."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"run_{run.started_at}_{uuid4().hex}.zip"
    keep_as(path, run)
    return path


def keep_as(path: Path, run: TrainingRun) -> None:
    """Replace what was kept of the run before; raises OSError if it cannot be written."""
    told, packed = asdict(run), io.BytesIO()
    contents = {kind: told.pop(kind) for kind in ("models", "files")}
    with ZipFile(packed, "w") as archive:
        archive.writestr("run.json", json.dumps(told))
        for kind, named in contents.items():
            for name, content in named.items():
                archive.writestr(f"{kind}/{name}", content)
    write_whole(path, packed.getvalue())


def read_kept(path: Path) -> TrainingRun:
    """Raises CannotReadRun."""
    contents: dict[str, Any] = {"models": {}, "files": {}}
    try:
        with ZipFile(path) as archive:
            told = json.loads(archive.read("run.json"))
            for entry in archive.namelist()[1:]:
                kind, _, name = entry.partition("/")
                contents[kind][name] = archive.read(entry)
        told["candidates"] = [CandidateRun(*values) for values in told["candidates"]]
        return TrainingRun(**told, **contents)
    except Exception as error:  # damage can look like anything
        raise CannotReadRun(f"{path} cannot be read: {error}. Remove it.") from None


@contextmanager
def logged(run: TrainingRun, tracker: "Tracker", unsent: Path) -> Iterator[dict[str, str] | None]:
    """Log the run; at the end of the block, close it with its tags.

    If MLflow does not take all of it, it is kept in the folder for `send_kept`.
    """
    tracked = None
    try:
        tracked = tracker.log(run)
        print(f"Logged {tracker.address(run)}", flush=True)
    except TrackingUnavailable as error:
        print(f"Not logged: {error}", file=sys.stderr)
    try:
        yield tracked
    finally:
        _close_or_keep(run, tracker, unsent)


def send_kept(tracker: "Tracker", unsent: Path) -> None:
    """Send every run that was kept, one sender at a time.

    Raises TrackingUnavailable if the server does not answer; RunsStuck after all that can be sent.
    """
    stuck: list[str] = []
    with locked(unsent):
        kept = find_kept(unsent)
        if not kept:
            print(NOTHING_KEPT)
        for path in kept:
            try:
                _send(path, tracker)
            except (CannotReadRun, RunNotTaken) as error:
                stuck.append(str(error))
    if stuck:
        raise RunsStuck("\n".join(stuck))


def _send(path: Path, tracker: "Tracker") -> None:
    run = read_kept(path)
    try:
        if not run.versions:
            _require_models(run, path)
            tracker.log(run)
        tracker.close(run)
    except RunNotTaken as error:
        with suppress(OSError):
            keep_as(path, run)  # with what has been begun
        raise RunNotTaken(f"{path} is not sent: {error}") from None
    path.unlink()
    print(f"Logged {tracker.address(run)}", flush=True)


def _require_models(run: TrainingRun, path: Path) -> None:
    """Raises CannotReadRun if the pickles are of libraries that are no longer there."""
    import joblib  # noqa: PLC0415  # as above

    try:
        for pickled in run.models.values():
            joblib.load(io.BytesIO(pickled))
    except Exception as error:  # a pickle can raise anything
        made_with = ", ".join(f"{name} {version}" for name, version in run.libraries.items())
        advice = f"Send it with what it was made with ({made_with}), or remove it"
        raise CannotReadRun(f"A model in {path} does not load: {error}. {advice}.") from None


def _close_or_keep(run: TrainingRun, tracker: "Tracker", unsent: Path) -> None:
    try:
        if run.versions:
            tracker.close(run)
            return
    except TrackingUnavailable as error:
        print(f"Not logged to its end: {error}", file=sys.stderr)
    try:
        path = keep(run, unsent)
    except OSError as error:
        print(f"The run cannot be kept either: {error}.", file=sys.stderr)
        return
    print(f"The run is kept in {path}; metrics.py --sync sends it.", file=sys.stderr)
