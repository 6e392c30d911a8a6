"""Writes files as their folder's owner: whole or not there, one writer at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Wait for the folder's other writers; the lock of a killed process is gone with it."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """A hidden name beside the path, gone at the end if it was not renamed."""
    hidden = path.with_name(f".{path.name}.tmp")
    try:
        yield hidden
    finally:
        hidden.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Replace the file, or leave it as it is and raise OSError."""
    with unfinished(path) as hidden:
        flush(hidden, content, mode)
        hidden.rename(path)


def flush(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file that is on disk before it gets its name."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def become_owner(directory: Path) -> None:
    """Run on as the directory's owner, so that what is written there is theirs.

    `docker exec` starts as root in a container that lets root write nowhere but in its own.
    """
    owner = directory.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    os.setgroups([])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)
