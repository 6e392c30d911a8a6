"""Writes a model and its manifest, complete or not at all."""

import fcntl
import hashlib
import io
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import joblib

VERSION_FORMAT = "%Y_%m_%d_T%H_%M_%S"


def publish(estimator: Any, manifest: dict[str, Any], directory: Path, now: datetime) -> Path:
    """Write the manifest, then the model, and return the model's path.

    `manifest` lacks what only the file tells: format, version, created_at, sha256 and size.
    Raises OSError when the directory cannot be written; readers then see nothing of it.
    """
    pickled = io.BytesIO()
    joblib.dump(estimator, pickled)
    content = pickled.getvalue()
    with _locked(directory):
        version = _next_version(directory, now)
        complete = {
            "format": 1,
            "name": manifest["name"],
            "version": version,
            "created_at": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "signature": None,
            **manifest,
            "republished_from": None,
        }
        # A reader that sees the pickle must find its manifest.
        _write(directory / f"model_{version}.json", json.dumps(complete, indent=2).encode())
        path = directory / f"model_{version}.pkl"
        _write(path, content)
    return path


def has_model(directory: Path) -> bool:
    """Whether anything is published that a backend may serve."""
    return any(directory.glob("model_*.pkl")) or (directory / "model.pkl").exists()


def library_versions() -> dict[str, str]:
    """What the pickle was made with."""
    libraries = ("scikit-learn", "numpy", "joblib")
    return {"python": platform.python_version()} | {
        name: installed_version(name) for name in libraries
    }


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One writer at a time; the lock of a killed process is gone with it."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _next_version(directory: Path, now: datetime) -> str:
    """The present second, or the one after the newest name: only the newest name is live."""
    names = {path.stem.removeprefix("model_") for path in directory.glob("model_*.*")}
    taken = [moment for name in names if (moment := _parse(name))]
    version = max([now, *(moment + timedelta(seconds=1) for moment in taken)])
    return version.strftime(VERSION_FORMAT)


def _parse(version: str) -> datetime | None:
    try:
        moment = datetime.strptime(version, VERSION_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
    # strptime also takes names without leading zeros, which no reader does
    return moment if moment.strftime(VERSION_FORMAT) == version else None


def _write(path: Path, content: bytes) -> None:
    """Readers see the whole file under its name or none; it is on disk before it has a name."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
