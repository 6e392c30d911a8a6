"""Hashes published files, each once, in a thread beside those that answer."""

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from threading import Condition, Thread
from time import monotonic

from errors import ModelRefused
from schemas import Manifest
from serving.repository import Pickle, PublishedFile

PATIENCE = 2.0  # seconds from when the thread has begun

Key = tuple[Path, tuple[int, ...]]


class Digests:
    """SHA-256 by file, until the file changes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._found: dict[Key, str | ModelRefused | None] = {}  # None while it is not known
        self._left: deque[PublishedFile] = deque()
        self._since = 0.0
        self._is_busy = False
        self._changed = Condition()

    def find(self, file: PublishedFile) -> str | None:
        """None while it is not known yet; raises ModelRefused if the file cannot be read."""
        with self._changed:
            if (key := _key(file)) not in self._found:
                self._found[key] = None
                self._left.append(file)
                self._start()
            found = self._found[key]
        if isinstance(found, ModelRefused):
            raise ModelRefused(found.reason, found.message)
        return found

    def keep(self, files: Sequence[PublishedFile]) -> None:
        """Forget all others."""
        if len(self._found) <= len(files):
            return
        keys = set(map(_key, files))
        with self._changed:
            self._found = {key: found for key, found in self._found.items() if key in keys}
            self._left = deque(file for file in self._left if _key(file) in keys)

    def wait(self) -> None:
        """Until all is known, or the thread has been busy for long."""
        with self._changed:
            left = self._since + PATIENCE - monotonic()
            self._changed.wait_for(lambda: not self._is_busy, max(left, 0))

    def _start(self) -> None:
        if not self._is_busy:
            self._is_busy, self._since = True, monotonic()
            Thread(target=self._hash_all, daemon=True).start()

    def _hash_all(self) -> None:
        while True:
            with self._changed:
                if not self._left:
                    self._is_busy = False
                    self._changed.notify_all()
                    return
                file = self._left.popleft()
            found = self._hash(file)
            with self._changed:
                if (key := _key(file)) in self._found:
                    self._found[key] = found

    def _hash(self, file: PublishedFile) -> str | ModelRefused:
        try:
            return Pickle(file, self._max_bytes).hash()
        except ModelRefused as refusal:
            return refusal.with_traceback(None)


def _key(file: PublishedFile) -> Key:
    return file.path, file.pickle_identity


def require_size(size: int, manifest: Manifest) -> None:
    """Raises ModelRefused."""
    if size != manifest.size:
        message = f"It has {size} bytes; its manifest says {manifest.size}."
        raise ModelRefused("size", message)


def require_digest(digest: str, manifest: Manifest) -> None:
    """Raises ModelRefused."""
    if digest != manifest.sha256:
        raise ModelRefused("checksum", "Its SHA-256 is not the one in its manifest.")
