"""Opens what is to be scored, and parts it."""

import gzip
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG
from typing import Any, BinaryIO, Literal, NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq

from errors import CommandFailed
from headers import UnusableSource, describe_damage, is_gzip, read_header, undamaged
from inputs import Feature
from pieces import Piece, cut, read_first_row

PARTITION_ROWS = 131_072  # of row groups that are put together

Kind = Literal["csv", "parquet"]


class ChangedFile(CommandFailed):
    """At the path is another file than the scoring began with."""


class File(NamedTuple):
    """A file as it was when the scoring began."""

    path: Path
    size: int
    mtime_ns: int

    def require_same(self) -> None:
        """Raises ChangedFile."""
        with self.path.open("rb") as file:  # over NFS only this asks the server
            found = os.fstat(file.fileno())
        if (found.st_size, found.st_mtime_ns) != (self.size, self.mtime_ns):
            said = f"{self.path} has changed since the scoring began"
            other = f"{platform.node()} has another copy of it, of another size or time"
            advice = "Put the file back that was there, or name another OUT"
            raise ChangedFile(f"{said}, or {other}. {advice}.")


class Partition(NamedTuple):
    """Part of a file: bytes from `start` to `end` of CSV, or row groups of Parquet.

    `size` is its share of the bytes on disk, and `piece` its text where the file cannot be read
    from the middle.
    """

    number: int
    file: File
    start: int
    end: int
    size: int
    piece: bytes | None = None

    @property
    def name(self) -> str:
        return f"part-{self.number:06}"

    @property
    def path(self) -> str:
        return str(self.file.path)


class Source(NamedTuple):
    """Files of one kind with the same columns; of CSV all columns are text."""

    kind: Kind
    files: list[File]
    schema: Any
    delimiter: str = ","

    @property
    def size(self) -> int:
        """In bytes on disk."""
        return sum(file.size for file in self.files)

    @property
    def identity(self) -> list[list[str | int]]:
        """Another one as soon as a file is."""
        return [[str(path), size, mtime] for path, size, mtime in self.files]

    def require_same(self) -> None:
        """Raises ChangedFile or OSError."""
        for file in self.files:
            file.require_same()

    def list_partitions(self) -> Iterator[Partition]:
        """In order, the same each time; raises UnusableSource, ChangedFile or OSError."""
        number = 0
        for file in self.files:
            parted = _part_parquet(file) if self.kind == "parquet" else self._part_csv(file)
            for it in parted:
                yield it._replace(number=number)
                number += 1

    def _part_csv(self, file: File) -> Iterator[Partition]:
        with file.path.open("rb") as raw:
            if not is_gzip(file.path):
                for piece in self._cut(raw):
                    size = len(piece.content)
                    yield Partition(0, file, piece.start, piece.start + size, size)
                return
            before = 0
            with gzip.open(raw) as text, undamaged(file.path):
                for piece in self._cut(cast("BinaryIO", text)):
                    file.require_same()  # here, as nobody else reads it
                    size, before = raw.tell() - before, raw.tell()
                    yield Partition(0, file, 0, 0, size, piece.content)

    def _cut(self, text: BinaryIO) -> Iterator[Piece]:
        """Without the header."""
        text.seek(len(read_first_row(text, self.delimiter)))
        return cut(text, self.delimiter)


def open_source(path: Path, features: list[Feature]) -> Source:
    """Raises UnusableSource or OSError."""
    files = [_look_at(it) for it in _list_files(path)]
    kinds = {file.path: _find_kind(file.path) for file in files}
    if len(set(kinds.values())) > 1:
        message = f"{path} holds both CSV and Parquet. Score each in a folder of its own."
        raise UnusableSource(message)
    is_parquet = kinds[files[0].path] == "parquet"
    source = _open_parquet(files) if is_parquet else _open_csv(files, features)
    names = source.schema.names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UnusableSource(f"Two columns are named {twice[0]}. Rename one of them.")
    return source


def _look_at(path: Path) -> File:
    found = path.stat()
    return File(path, found.st_size, found.st_mtime_ns)


def _list_files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted({it.resolve() for it in _walk(path)})  # each once, links or not
        if not files:
            raise UnusableSource(f"The folder {path} holds no files. Put CSV or Parquet there.")
        return files
    require_there(path)
    return [_require_file(path).resolve()]


def require_there(path: Path) -> None:
    """Raises UnusableSource."""
    if not path.exists():
        raise UnusableSource(f"There is no file {path}. In the container, data/ is data/…")


def _walk(path: Path) -> Iterator[Path]:
    """The files in it and its folders, those behind links too; raises UnusableSource."""
    seen = set()  # a link may lead back
    for root, folders, names in os.walk(path, onerror=_refuse, followlinks=True):
        folders[:] = [it for it in folders if not _is_hidden(it)]
        if (real := os.path.realpath(root)) in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (_require_file(Path(root, it)) for it in names if not _is_hidden(it))


def _refuse(error: OSError) -> None:
    said = f"The folder {error.filename} cannot be listed: {error.strerror}"
    raise UnusableSource(f"{said}. Let this user read it, or move it out of IN.")


def _require_file(path: Path) -> Path:
    try:
        is_file = S_ISREG(path.stat().st_mode)
    except OSError as error:
        said = f"{path} cannot be read: {error.strerror}"
        raise UnusableSource(f"{said}. Mend it, or move it out of IN.") from None
    if not is_file:
        raise UnusableSource(f"{path} is no file and no folder. Move it out of IN.")
    return path


def _is_hidden(name: str) -> bool:
    """What begins so is other programs' own: _SUCCESS, _metadata, .part.crc."""
    return name.startswith((".", "_"))


def _find_kind(path: Path) -> Kind:
    """By what the bytes are, as names of files promise anything."""
    with path.open("rb") as file:
        head = file.read(4)
    if not head:
        raise UnusableSource(f"{path} is empty. Give it a header line and rows below.")
    return "parquet" if head == b"PAR1" else "csv"


def _open_parquet(files: list[File]) -> Source:
    schema, rows = None, 0
    for file in files:
        found, metadata = _read_footer(file.path)
        schema, rows = schema or found, rows + metadata.num_rows
        if not found.equals(schema):
            raise UnusableSource(_other_columns(file, files[0]))
    if not rows:
        raise UnusableSource(f"{files[0].path} holds no rows. Give it some.")
    return Source("parquet", files, schema)


def _read_footer(path: Path) -> Any:
    """Its schema and its metadata."""
    try:
        with pq.ParquetFile(path) as file:
            return file.schema_arrow, file.metadata
    except (pa.ArrowException, OSError) as error:  # it has been opened before
        raise UnusableSource(describe_damage(path, "Parquet", error)) from None


def _part_parquet(file: File) -> Iterator[Partition]:
    """Whole row groups, as rows within one are found only by reading those before."""
    file.require_same()
    _, metadata = _read_footer(file.path)
    groups = [metadata.row_group(it) for it in range(metadata.num_row_groups)]
    share = file.size / max(1, sum(it.num_rows for it in groups))
    start = rows = 0
    for index, group in enumerate(groups):
        if rows and rows + group.num_rows > PARTITION_ROWS:
            yield Partition(0, file, start, index, round(rows * share))
            start, rows = index, 0
        rows += group.num_rows
    if rows:
        yield Partition(0, file, start, len(groups), round(rows * share))


def _open_csv(files: list[File], features: list[Feature]) -> Source:
    first = files[0]
    delimiter, names = read_header(first.path, features)
    for file in files[1:]:
        if read_header(file.path, features) != (delimiter, names):
            raise UnusableSource(_other_columns(file, first))
    schema = pa.schema([pa.field(name, pa.string()) for name in names])
    source = Source("csv", files, schema, delimiter)
    if next(source.list_partitions(), None) is None:
        raise UnusableSource(f"{first.path} holds no rows below its header. Give it some.")
    return source


def _other_columns(file: File, first: File) -> str:
    said = f"{file.path} has other columns than {first.path}"
    return f"{said}. Score them apart, or make them alike."
