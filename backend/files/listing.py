"""Finds the files of a table, and says of which kind each is."""

import os
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

from errors import CommandFailed
from worker.media import Format

# The last one begins old and protected workbooks, which are refused with the reason.
MAGIC_NUMBERS = {b"PAR1": Format.PARQUET, b"PK\3\4": Format.XLSX, b"\xd0\xcf\x11\xe0": Format.XLSX}
NAMES = {Format.CSV: "CSV", Format.PARQUET: "Parquet", Format.XLSX: ".xlsx"}


class File(NamedTuple):
    """A file as it was when the scoring began."""

    path: Path
    size: int
    mtime_ns: int

    def require_same(self) -> None:
        """Raises CommandFailed or OSError."""
        with self.path.open("rb") as file:  # over NFS only this asks the server
            found = os.fstat(file.fileno())
        if (found.st_size, found.st_mtime_ns) != (self.size, self.mtime_ns):
            said = f"{self.path} has changed since the scoring began"
            other = "or this machine has another copy, of another size or time"
            advice = "Put the original file back, or name another OUT"
            raise CommandFailed(f"{said}, {other}. {advice}.")


def list_files(path: Path, left_out: Path) -> list[Path]:
    """Return the file, or those of the folder but not of `left_out` in it; raises CommandFailed."""
    if path.is_dir():
        found = {file.resolve() for file in _walk(path, left_out)}  # each once, links or not
        is_beside = path.resolve().is_relative_to(left_out)
        files = sorted(file for file in found if is_beside or not file.is_relative_to(left_out))
        if not files:
            kinds = ", ".join(NAMES.values())
            raise CommandFailed(f"The folder {path} holds no files. It can hold {kinds}.")
        return files
    if not path.exists():
        raise CommandFailed(f"There is no file {path}. In the container, data/ is data/…")
    return [_require_file(path).resolve()]


def look_at(path: Path) -> File:
    found = path.stat()
    return File(path, found.st_size, found.st_mtime_ns)


def find_kind(path: Path) -> Format:
    """Detect the format from the first bytes, whatever the file is named."""
    with path.open("rb") as file:
        head = file.read(4)
    if not head:
        raise CommandFailed(f"{path} is empty. Give it a header line and rows below.")
    return MAGIC_NUMBERS.get(head, Format.CSV)


def _walk(path: Path, left_out: Path) -> Iterator[Path]:
    """The files in it and its folders, those behind links too; raises CommandFailed."""
    seen = {os.path.realpath(left_out)}  # a link may lead back
    for root, folders, names in os.walk(path, onerror=_refuse, followlinks=True):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        if (real := os.path.realpath(root)) in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (_require_file(Path(root, name)) for name in names if not _is_hidden(name))


def _refuse(error: OSError) -> None:
    said = f"The folder {error.filename} cannot be listed: {error.strerror}"
    raise CommandFailed(f"{said}. Let this user read it, or move it out of IN.")


def _require_file(path: Path) -> Path:
    try:
        is_file = S_ISREG(path.stat().st_mode)
    except OSError as error:
        said = f"{path} cannot be read: {error.strerror}"
        raise CommandFailed(f"{said}. Fix it, or move it out of IN.") from None
    if not is_file:
        raise CommandFailed(f"{path} is not a file or a folder. Move it out of IN.")
    return path


def _is_hidden(name: str) -> bool:
    """Whether it is other programs' own: _SUCCESS, _metadata, .part.crc, ~$open.xlsx."""
    return name.startswith((".", "_", "~$"))
