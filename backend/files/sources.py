"""Finds the files of a table, and splits them into parts."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from stat import S_ISREG
from typing import Any, NamedTuple

from errors import CommandFailed
from files.reading import Text, read_blocks, read_text, reading
from files.text import cut
from schemas import Description
from worker.media import Format

PART_ROWS = 262_144  # of row groups that are put together
PIECE_BYTES = 8 * 1024**2  # of text that is cut

Look = Callable[["File", dict[str, Any]], dict[str, Any]]


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


class Part(NamedTuple):
    """Rows of a file: `head` says which, `body` is their text if they are CSV.

    `size` is their share of the bytes on disk.
    """

    number: int
    file: File
    size: int
    head: dict[str, Any]
    body: bytes = b""

    @property
    def name(self) -> str:
        return f"part-{self.number:06}"


class Source(NamedTuple):
    """Files with the same columns; `head` describes them to the process that reads them."""

    files: list[File]
    head: dict[str, Any]
    groups: dict[Path, list[int]]  # rows of each row group of Parquet
    texts: dict[Path, Text]  # of CSV

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def identity(self) -> list[list[str | int]]:
        """Another one as soon as a file is."""
        return [[str(path), size, mtime] for path, size, mtime in self.files]

    def list_parts(self) -> Iterator[Part]:
        """Yield parts in the same order each time; raises CommandFailed or OSError."""
        is_parquet = self.head["sent"] is Format.PARQUET
        split = self._split_parquet if is_parquet else self._split_csv
        found = (part for file in self.files for part in split(file))
        yield from (part._replace(number=number) for number, part in enumerate(found))

    def _split_csv(self, file: File) -> Iterator[Part]:
        """About 8 MB of text each; gzip cannot be read from the middle, nor by several at once."""
        text = self.texts[file.path]
        with reading(file.path) as (raw, content):
            before = 0
            blocks = read_blocks(content, text.encoding, PIECE_BYTES)
            for body in cut(blocks, text.delimiter, text.start):
                size, before = raw.tell() - before, raw.tell()
                yield Part(0, file, size, self.head | text.head, body)

    def _split_parquet(self, file: File) -> Iterator[Part]:
        """Whole row groups, as rows within one are found only by reading those before."""
        groups = self.groups[file.path]
        share = file.size / max(1, sum(groups))
        waiting: list[int] = []
        rows = 0
        for index, count in enumerate(groups):
            if rows and rows + count > PART_ROWS:
                yield Part(0, file, round(rows * share), self.head | {"groups": waiting})
                waiting, rows = [], 0
            waiting.append(index)
            rows += count
        if rows:
            yield Part(0, file, round(rows * share), self.head | {"groups": waiting})


def list_files(path: Path, left_out: Path) -> list[Path]:
    """Return the file, or those of the folder but not of `left_out` in it; raises CommandFailed."""
    if path.is_dir():
        found = {file.resolve() for file in _walk(path, left_out)}  # each once, links or not
        is_beside = path.resolve().is_relative_to(left_out)
        files = sorted(file for file in found if is_beside or not file.is_relative_to(left_out))
        if not files:
            raise CommandFailed(f"The folder {path} holds no files. Put CSV or Parquet there.")
        return files
    if not path.exists():
        raise CommandFailed(f"There is no file {path}. In the container, data/ is data/…")
    return [_require_file(path).resolve()]


def open_source(paths: list[Path], known: Description, wanted: Format | None, look: Look) -> Source:
    """Raises CommandFailed or OSError; `look` has a process say what is in a file.

    The format that is wanted is by default that of the files.
    """
    kinds = {_find_kind(path) for path in paths}
    if len(kinds) > 1:
        raise CommandFailed("IN holds both CSV and Parquet. Score each in a folder of its own.")
    [kind] = kinds
    head = {"sent": kind, "wanted": wanted or kind}
    source = Source([_look_at(path) for path in paths], head, {}, {})
    columns = [_describe(file, source, known, look) for file in source.files]
    for file, found in zip(source.files, columns, strict=True):
        if found != columns[0]:
            message = f"{file.path} has other columns than {paths[0]}"
            raise CommandFailed(f"{message}. Score them apart, or make them alike.")
    if next(source.list_parts(), None) is None:
        raise CommandFailed(f"{paths[0]} holds no rows below its header. Give it some.")
    return source


def _describe(file: File, source: Source, known: Description, look: Look) -> str:
    """Note what is in a file; return its columns."""
    head = source.head
    if head["sent"] is Format.CSV:
        encoding = known.written.encoding if known.written else None
        text = read_text(file.path, [feature.name for feature in known.features], encoding)
        source.texts[file.path] = text
        head = head | text.head
    told = look(file, head)
    source.groups[file.path] = list(map(int, told["groups"]))
    return str(told["columns"])


def _look_at(path: Path) -> File:
    found = path.stat()
    return File(path, found.st_size, found.st_mtime_ns)


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
    """Whether it is other programs' own: _SUCCESS, _metadata, .part.crc."""
    return name.startswith((".", "_"))


def _find_kind(path: Path) -> Format:
    """Detect the format from the first bytes, whatever the file is named."""
    with path.open("rb") as file:
        head = file.read(4)
    if not head:
        raise CommandFailed(f"{path} is empty. Give it a header line and rows below.")
    return Format.PARQUET if head == b"PAR1" else Format.CSV
