"""Finds and reads the models published in a directory."""

import json
import os
import re
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from errors import ModelRefused

VERSION_FORMAT = "%Y_%m_%d_T%H_%M_%S"
UNVERSIONED = "model"  # of model.pkl, served only where no other model can be
MAX_MANIFEST_BYTES = 64 * 1024**2

_NAME = re.compile(r"model_(\d{4}_\d\d_\d\d_T\d\d_\d\d_\d\d)\.pkl", re.ASCII)


class PublishedFile(NamedTuple):
    """What the directory tells of a pickle and its manifest without opening them."""

    version: str
    path: Path
    identity: tuple[int, ...]  # another one as soon as either file changes

    @property
    def manifest_path(self) -> Path:
        return self.path.with_suffix(".json")

    @property
    def created_at(self) -> datetime:
        """As the name says, else as the file does."""
        if self.version == UNVERSIONED:
            return datetime.fromtimestamp(self.identity[1] // 10**9, UTC)
        return datetime.strptime(self.version, VERSION_FORMAT).replace(tzinfo=UTC)


def find_published(directory: Path) -> list[PublishedFile]:
    """Newest first; order is the order of names, whatever the clock of a file says."""
    versions = {path: _version(path.name) for path in directory.iterdir()}
    files = [
        PublishedFile(version, path, _identify(path) + _identify(path.with_suffix(".json")))
        for path, version in versions.items()
        if version
    ]
    return sorted(files, key=lambda file: (file.version != UNVERSIONED, file.version), reverse=True)


def read_pickle(file: PublishedFile, max_bytes: int) -> bytes:
    """Raises ModelRefused where it is no regular file of the folder, or too large."""
    return _read(file.path, max_bytes, "MAX_MODEL_BYTES allows")


def read_manifest(file: PublishedFile) -> dict[str, Any] | None:
    """None where the pickle has no manifest; raises ModelRefused where that is no JSON object."""
    if not os.path.lexists(file.manifest_path):
        return None
    content = _read(file.manifest_path, MAX_MANIFEST_BYTES, "a manifest has at most")
    try:
        manifest = json.loads(content, parse_constant=_refuse_constant)
        # Half of a character, which JSON can escape and no answer can contain, is refused too.
        json.dumps(manifest, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        message = f"Its manifest {file.manifest_path.name} is no JSON: {error}."
        raise ModelRefused("manifest", message) from None
    if not isinstance(manifest, dict):
        raise ModelRefused("manifest", f"Its manifest {file.manifest_path.name} is no JSON object.")
    return manifest


def _version(name: str) -> str | None:
    if name == "model.pkl":
        return UNVERSIONED
    found = _NAME.fullmatch(name)
    return found[1] if found and _is_date(found[1]) else None


def _is_date(version: str) -> bool:
    try:
        datetime.strptime(version, VERSION_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def _identify(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:  # a link to nowhere, or to where nobody may look
        return (0, 0, 0)
    return (status.st_size, status.st_mtime_ns, status.st_ino)


def _read(path: Path, max_bytes: int, limit: str) -> bytes:
    try:
        # Non-blocking, or opening a named pipe would wait for somebody to write to it.
        descriptor = os.open(_resolve(path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            _require_regular(path, os.fstat(descriptor), max_bytes, limit)
            with os.fdopen(descriptor, "rb", closefd=False) as source:
                return source.read(max_bytes)
        finally:
            os.close(descriptor)
    except PermissionError:
        message = f"The backend may not read {path.name}. Check its owner and mode."
        raise ModelRefused("file", message) from None
    except OSError as error:
        raise ModelRefused("file", f"{path.name} cannot be read: {error.strerror}.") from None


def _require_regular(path: Path, status: os.stat_result, max_bytes: int, limit: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ModelRefused("file", f"{path.name} is no regular file.")
    if status.st_size > max_bytes:
        message = f"{path.name} has {status.st_size} bytes; {limit} {max_bytes}."
        raise ModelRefused("size", message)


def _resolve(path: Path) -> Path:
    """A link may stay within the folder, as those of Kubernetes do, and not lead out of it."""
    target = Path(os.path.realpath(path))  # Path.resolve raises on a link to itself
    if not target.is_relative_to(os.path.realpath(path.parent)):
        raise ModelRefused("file", f"{path.name} is a link that leads out of the folder.")
    return target


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
