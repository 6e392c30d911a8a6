"""Writes a model and its manifest, complete or not at all."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from errors import CommandFailed
from files import flush, locked, unfinished
from publishing.signing import is_signed_by, sign

MAX_MANIFEST_BYTES = 1024**2
VERSION_FORMAT = "%Y_%m_%d_T%H_%M_%S"


class CannotRepublish(CommandFailed):
    """The version is not there, or does not verify."""


class ManifestTooLarge(CommandFailed):
    """No reader would take the manifest."""


class Publisher:
    """Writes to one directory, signed if there is a key."""

    def __init__(self, directory: Path, key: Ed25519PrivateKey | None = None) -> None:
        self._directory = directory
        self._key = key

    def publish(self, pickled: bytes, manifest: dict[str, Any], now: datetime) -> Path:
        """Write the manifest, then the model, and return the model's path.

        `manifest` lacks what only the file tells: format, version, created_at, sha256 and size.
        Raises ManifestTooLarge, and OSError when the directory cannot be written; readers then
        see nothing of it.
        """
        return self._write(pickled, {**manifest, "republished_from": None}, now)

    def republish(self, version: str, now: datetime) -> Path:
        """Publish an older version again, so that it goes live; an unsigned one stays unsigned.

        Raises CannotRepublish if it is incomplete, changed or signed with another key.
        """
        path = self._directory / f"model_{version}.pkl"
        try:
            pickled = path.read_bytes()
            manifest = json.loads(path.with_suffix(".json").read_text())
        except (OSError, ValueError) as error:
            raise CannotRepublish(f"There is no complete version {version}: {error}.") from None
        if not isinstance(manifest, dict) or not manifest.keys() >= set(KEYS) - {"written"}:
            raise CannotRepublish(f"The manifest of {path.name} lacks keys, or is none.")
        if hashlib.sha256(pickled).hexdigest() != manifest["sha256"]:
            raise CannotRepublish(f"{path.name} is not the file its manifest describes.")
        copy = {**manifest, "republished_from": version}
        if not manifest["signature"]:  # the key would vouch for what nobody has looked at
            return Publisher(self._directory)._write(pickled, copy, now)
        if self._key and not is_signed_by(self._key.public_key(), manifest):
            raise CannotRepublish(f"{path.name} is not signed with this key.")
        return self._write(pickled, copy, now)

    def has_model(self, name: str | None = None) -> bool:
        """Whether anything is published that a backend may serve; with a name, under that."""
        if name:
            return any(_read_manifest(path).get("name") == name for path in self._find())
        return bool(self._find()) or (self._directory / "model.pkl").exists()

    def read_live_manifest(self) -> dict[str, Any] | None:
        """The newest model's; none if there is no model, or no manifest with it."""
        found = self._find()
        return _read_manifest(found[-1]) or None if found else None

    def _find(self) -> list[Path]:
        """The published models, oldest first."""
        paths = sorted(self._directory.glob("model_*.pkl"))
        return [path for path in paths if _parse_version(path.stem.removeprefix("model_"))]

    def _write(self, pickled: bytes, manifest: dict[str, Any], now: datetime) -> Path:
        with locked(self._directory):
            _remove_leftovers(self._directory)
            version = _next_version(self._directory, now)
            path = self._directory / f"model_{version}.pkl"
            complete = _write_json(self._complete(manifest, pickled, version))
            with unfinished(path.with_suffix(".json")) as described, unfinished(path) as model:
                flush(described, complete)
                flush(model, pickled)
                # A reader that sees the pickle must find its manifest.
                described.rename(path.with_suffix(".json"))
                model.rename(path)
        return path

    def _complete(self, manifest: dict[str, Any], pickled: bytes, version: str) -> dict[str, Any]:
        created_at = datetime.strptime(version, VERSION_FORMAT).replace(tzinfo=UTC)
        complete = {
            "format": 1,
            "name": manifest["name"],
            **manifest,
            "version": version,
            "created_at": f"{created_at:%Y-%m-%dT%H:%M:%SZ}",
            "sha256": hashlib.sha256(pickled).hexdigest(),
            "size": len(pickled),
            "signature": None,
        }
        complete = {key: complete[key] for key in KEYS if key in complete}
        complete["signature"] = sign(complete, self._key) if self._key else None
        return complete


def publish(
    pickled: bytes, manifest: dict[str, Any], publisher: Publisher, tags: dict[str, str]
) -> None:
    """Publish now, add the tags by which MLflow finds the file, and say so."""
    path = publisher.publish(pickled, manifest, datetime.now(UTC))
    # First, as nobody may read what is said.
    tags |= {"model_file": path.name, "sha256": hashlib.sha256(pickled).hexdigest()}
    print(f"Published {path}", flush=True)


def _write_json(manifest: dict[str, Any]) -> bytes:
    """For a person to read, or without white space if that is too long."""
    written = json.dumps(manifest, indent=2).encode()
    if len(written) > MAX_MANIFEST_BYTES:
        written = json.dumps(manifest, separators=(",", ":")).encode()
    if len(written) > MAX_MANIFEST_BYTES:
        message = f"The manifest would have {len(written):,} bytes, and at most 1 MB is read"
        raise ManifestTooLarge(f"{message}. Train on fewer columns: --drop leaves some out.")
    return written


def _read_manifest(path: Path) -> dict[str, Any]:
    """The manifest beside a model's file; empty if there is none that can be read."""
    try:
        manifest = json.loads(path.with_suffix(".json").read_text())
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


# In the order a person reads them.
KEYS = (
    "format", "name", "version", "created_at", "sha256", "size", "signature", "features", "written",
    "target", "estimator", "params", "metrics", "dataset", "libraries", "mlflow", "examples",
    "republished_from",
)  # fmt: skip


def _remove_leftovers(directory: Path) -> None:
    """Only one writes at a time, so what is unfinished now is of a writer that died."""
    for temporary in directory.glob(".model_*.tmp"):
        name = temporary.name.removeprefix(".").removesuffix(".tmp")
        pickle = (directory / name).with_suffix(".pkl")
        if not pickle.exists():
            pickle.with_suffix(".json").unlink(missing_ok=True)
        temporary.unlink(missing_ok=True)


def _next_version(directory: Path, now: datetime) -> str:
    """The present second, or the one after the newest name: only the newest name is live."""
    names = {path.stem.removeprefix("model_") for path in directory.glob("model_*.*")}
    newest = max((moment for name in names if (moment := _parse_version(name))), default=None)
    now = now.replace(microsecond=0)  # which names do not have
    if newest is None or now > newest:
        return now.strftime(VERSION_FORMAT)
    try:
        return (newest + timedelta(seconds=1)).strftime(VERSION_FORMAT)
    except OverflowError:
        message = f"no name is newer than that of {newest:{VERSION_FORMAT}}. Remove that model"
        raise OSError(message) from None


def _parse_version(version: str) -> datetime | None:
    try:
        moment = datetime.strptime(version, VERSION_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
    # strptime also takes names without leading zeros, which no reader does
    return moment if moment.strftime(VERSION_FORMAT) == version else None
