"""Finds and reads the models published in a directory."""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple
from weakref import finalize

from pydantic_core import from_json

from errors import FolderUnreadable, ModelRefused
from serving.naming import UNVERSIONED, VERSION_FORMAT, find_version, suggest_name

MAX_MANIFEST_BYTES = 1024**2
LAST_SECOND = 2**32  # of a file's time, in the year 2106

_ABSENT = (0, 0, 0)
_TOO_LONG = "a manifest has at most {}. `metrics.py --republish` writes a shorter one."


class PublishedFile(NamedTuple):
    """What the directory tells of a pickle and its manifest without opening them."""

    version: str
    path: Path
    identity: tuple[int, ...]  # another one as soon as either file changes, or the public key
    right_name: str | None = None  # if its name is not a version's; its version is that name then

    @property
    def order(self) -> tuple[int, str]:
        """The newer, the higher; what is misnamed is never newer than a model."""
        return (0 if self.right_name else 1 if self.version == UNVERSIONED else 2, self.version)

    @property
    def pickle_identity(self) -> tuple[int, ...]:
        """Size, time and inode."""
        return self.identity[: len(_ABSENT)]

    @property
    def manifest_path(self) -> Path:
        return self.path.with_suffix(".json")

    @property
    def manifest_bytes(self) -> int:
        return self.identity[len(_ABSENT)]  # the first of the manifest's, after the pickle's

    @property
    def created_at(self) -> datetime:
        """As the name says, else as the file does."""
        if self.version == UNVERSIONED:
            return _read_time(self.identity)
        return datetime.strptime(self.version, VERSION_FORMAT).replace(tzinfo=UTC)


def find_published(directory: Path, key: Path | None = None) -> list[PublishedFile]:
    """Newest first; order is the order of names, whatever the clock of a file says.

    `key` is the public key that their signatures are checked with. Raises FolderUnreadable.
    """
    try:
        with os.scandir(directory) as entries:
            found = {it.name: _identify(it) for it in entries if _is_looked_at(it.name)}
    except OSError as error:
        raise FolderUnreadable(_explain(directory, error)) from None
    names = {version: name for name in found if (version := find_version(name))}
    right_names = _find_right_names(found)
    checked_with = _identify(key) if key else ()

    def describe(version: str) -> PublishedFile:
        pickle = names[version]
        manifest = pickle.replace(".pkl", ".json")
        # A scan may miss a manifest that was written meanwhile.
        described = found.get(manifest) or _identify(directory / manifest)
        identity = found[pickle] + described + checked_with
        return PublishedFile(version, directory / pickle, identity, right_names.get(pickle))

    return sorted(map(describe, names), key=attrgetter("order"), reverse=True)


class Pickle:
    """An open file: it can be read again even if it has been deleted or replaced."""

    def __init__(self, file: PublishedFile, max_bytes: int) -> None:
        """Raises ModelRefused if it is not a regular file of the folder, or too large."""
        self._path, self._max_bytes = file.path, max_bytes
        with _explaining(file.path):
            self._descriptor = _open(file.path, max_bytes, "MAX_MODEL_BYTES allows {}.")
        finalize(self, os.close, self._descriptor)

    def read(self) -> bytes:
        """From any thread; raises ModelRefused if the system cannot."""
        with _explaining(self._path):
            size = os.fstat(self._descriptor).st_size
            return os.pread(self._descriptor, min(size, self._max_bytes), 0)

    def hash(self) -> str:
        """Its SHA-256, once; raises ModelRefused as above. A large file is not held in memory."""
        with _explaining(self._path), open(self._descriptor, "rb", closefd=False) as content:
            return hashlib.file_digest(content, "sha256").hexdigest()


def read_manifest(file: PublishedFile) -> dict[str, Any] | None:
    """None where the pickle has no manifest; raises ModelRefused where that is no JSON object.

    The parser limits depth and size, and makes plain values: nothing is known of them yet.
    """
    if not os.path.lexists(file.manifest_path):
        return None
    content = _read_up_to(file.manifest_path, MAX_MANIFEST_BYTES, _TOO_LONG)
    name = file.manifest_path.name
    try:
        manifest = from_json(content, allow_inf_nan=False)
    except ValueError as error:
        raise ModelRefused("manifest", f"Its manifest {name} is not JSON: {error}.") from None
    if not isinstance(manifest, dict):
        raise ModelRefused("manifest", f"Its manifest {name} is not a JSON object.")
    return manifest


def require_name(file: PublishedFile) -> None:
    """Raises ModelRefused with the right name if the file's own is not a version's."""
    if file.right_name:
        said = "Its name is not that of a version, so it is not served"
        advice = f"Rename it to {file.right_name}; the newest name is live"
        raise ModelRefused("name", f"{said}. {advice}.")


def _find_right_names(found: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """Names that are free, another one for each."""
    taken, right = set(found), {}
    for name in sorted(name for name in found if find_version(name) == name):
        right[name] = suggest_name(name, _read_time(found[name]), taken)
        taken.add(right[name])
    return right


def _read_time(identity: tuple[int, ...]) -> datetime:
    """When a file was modified; some systems hold times that no calendar does."""
    return datetime.fromtimestamp(min(max(identity[1] // 10**9, 0), LAST_SECOND), UTC)


def _is_looked_at(name: str) -> bool:
    """Models and their manifests."""
    return name.startswith("model") or find_version(name) is not None


def _explain(directory: Path, error: OSError) -> str:
    reasons = {
        FileNotFoundError: f"There is no models folder {directory}",
        NotADirectoryError: f"The models folder {directory} is a file",
        PermissionError: f"The backend may not read the models folder {directory}",
    }
    cannot = f"The models folder {directory} cannot be read: {error.strerror}"
    said = reasons.get(type(error), cannot)
    return f"{said}. Put a readable folder there, or set MODELS_DIR and start the backend again."


def _identify(path: Path | os.DirEntry[str]) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:  # a link to nowhere, or to where nobody may look
        return _ABSENT
    return (status.st_size, status.st_mtime_ns, status.st_ino)


def _read_up_to(path: Path, max_bytes: int, limit: str) -> bytes:
    with _explaining(path), os.fdopen(_open(path, max_bytes, limit), "rb") as source:
        return source.read(max_bytes)


def _open(path: Path, max_bytes: int, limit: str) -> int:
    # Non-blocking, or opening a named pipe would wait for somebody to write to it.
    descriptor = os.open(_resolve(path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        _require_regular(path, os.fstat(descriptor), max_bytes, limit)
    except ModelRefused:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    """Raises ModelRefused for what the system says."""
    try:
        yield
    except PermissionError:
        message = f"The backend may not read {path.name}. Check its owner and mode."
        raise ModelRefused("file", message) from None
    except OSError as error:
        raise ModelRefused("file", f"{path.name} cannot be read: {error.strerror}.") from None


def _require_regular(path: Path, status: os.stat_result, max_bytes: int, limit: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ModelRefused("file", f"{path.name} is not a regular file.")
    if status.st_size > max_bytes:
        message = f"{path.name} has {status.st_size} bytes; {limit.format(max_bytes)}"
        raise ModelRefused("size", message)


def _resolve(path: Path) -> Path:
    """A link may stay within the folder, as those of Kubernetes do, and not lead out of it."""
    if not path.is_symlink():
        return path
    target = Path(os.path.realpath(path))  # Path.resolve raises on a link to itself
    if not target.is_relative_to(os.path.realpath(path.parent)):
        raise ModelRefused("file", f"{path.name} is a link that leads out of the folder.")
    return target
