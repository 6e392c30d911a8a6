"""Opens what is to be scored, and parts it."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq

from headers import UnusableSource, describe_damage, is_gzip, read_header, undamaged
from inputs import Feature
from pieces import Piece, cut, read_first_row

PARTITION_ROWS = 131_072  # of row groups that are put together

Kind = Literal["csv", "parquet"]


class Partition(NamedTuple):
    """Part of a file: bytes from `start` to `end` of CSV, or row groups of Parquet.

    `size` is its share of the bytes on disk, and `piece` its text where the file cannot be read
    from the middle.
    """

    number: int
    path: str
    start: int
    end: int
    size: int
    piece: bytes | None = None

    @property
    def name(self) -> str:
        return f"part-{self.number:06}"


class Source(NamedTuple):
    """Files of one kind with the same columns; of CSV all columns are text."""

    kind: Kind
    files: list[Path]
    schema: Any
    delimiter: str = ","

    @property
    def size(self) -> int:
        """In bytes on disk."""
        return sum(path.stat().st_size for path in self.files)

    def identify(self) -> list[list[str | int]]:
        """Another one as soon as a file is."""
        stats = [(path, path.stat()) for path in self.files]
        return [[str(path), stat.st_size, stat.st_mtime_ns] for path, stat in stats]

    def list_partitions(self) -> Iterator[Partition]:
        """In order, the same each time; raises UnusableSource or OSError."""
        number = 0
        for path in self.files:
            parted = _part_parquet(path) if self.kind == "parquet" else self._part_csv(path)
            for it in parted:
                yield it._replace(number=number)
                number += 1

    def _part_csv(self, path: Path) -> Iterator[Partition]:
        with path.open("rb") as raw:
            if not is_gzip(path):
                for piece in self._cut(raw):
                    size = len(piece.content)
                    yield Partition(0, str(path), piece.start, piece.start + size, size)
                return
            before = 0
            with gzip.open(raw) as text, undamaged(path):
                for piece in self._cut(cast("BinaryIO", text)):
                    size, before = raw.tell() - before, raw.tell()
                    yield Partition(0, str(path), 0, 0, size, piece.content)

    def _cut(self, text: BinaryIO) -> Iterator[Piece]:
        """Without the header."""
        text.seek(len(read_first_row(text, self.delimiter)))
        return cut(text, self.delimiter)


def open_source(path: Path, features: list[Feature]) -> Source:
    """Raises UnusableSource or OSError."""
    files = _list_files(path)
    kinds = {file: _find_kind(file) for file in files}
    if len(set(kinds.values())) > 1:
        message = f"{path} holds both CSV and Parquet. Score each in a folder of its own."
        raise UnusableSource(message)
    source = _open_parquet(files) if kinds[files[0]] == "parquet" else _open_csv(files, features)
    names = source.schema.names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UnusableSource(f"Two columns are named {twice[0]}. Rename one of them.")
    return source


def _list_files(path: Path) -> list[Path]:
    if path.is_dir():
        # What begins so is other programs' own: _SUCCESS, _metadata, .part.crc.
        inside = (it for it in path.rglob("*") if not _is_hidden(it.relative_to(path)))
        files = sorted(it.resolve() for it in inside if it.is_file())
        if not files:
            raise UnusableSource(f"The folder {path} holds no files. Put CSV or Parquet there.")
        return files
    if not path.exists():
        raise UnusableSource(f"There is no file {path}. In the container, data/ is data/…")
    if not path.is_file():
        raise UnusableSource(f"{path} is no file and no folder.")
    return [path.resolve()]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _find_kind(path: Path) -> Kind:
    """By what the bytes are, as names of files promise anything."""
    with path.open("rb") as file:
        head = file.read(4)
    if not head:
        raise UnusableSource(f"{path} is empty. Give it a header line and rows below.")
    return "parquet" if head == b"PAR1" else "csv"


def _open_parquet(files: list[Path]) -> Source:
    schema, rows = None, 0
    for path in files:
        found, count = _read_footer(path)
        schema, rows = schema or found, rows + count
        if not found.equals(schema):
            raise UnusableSource(_other_columns(path, files[0]))
    if not rows:
        raise UnusableSource(f"{files[0]} holds no rows. Give it some.")
    return Source("parquet", files, schema)


def _read_footer(path: Path) -> tuple[Any, int]:
    try:
        with pq.ParquetFile(path) as file:
            return file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:  # it has been opened before
        raise UnusableSource(describe_damage(path, "Parquet", error)) from None


def _part_parquet(path: Path) -> Iterator[Partition]:
    """Whole row groups, as rows within one are found only by reading those before."""
    with pq.ParquetFile(path) as file:
        groups = [file.metadata.row_group(it) for it in range(file.num_row_groups)]
    share = path.stat().st_size / max(1, sum(it.num_rows for it in groups))
    start = rows = 0
    for index, group in enumerate(groups):
        if rows and rows + group.num_rows > PARTITION_ROWS:
            yield Partition(0, str(path), start, index, round(rows * share))
            start, rows = index, 0
        rows += group.num_rows
    if rows:
        yield Partition(0, str(path), start, len(groups), round(rows * share))


def _open_csv(files: list[Path], features: list[Feature]) -> Source:
    delimiter, names = read_header(files[0], features)
    for path in files[1:]:
        if read_header(path, features) != (delimiter, names):
            raise UnusableSource(_other_columns(path, files[0]))
    schema = pa.schema([pa.field(name, pa.string()) for name in names])
    source = Source("csv", files, schema, delimiter)
    if next(source.list_partitions(), None) is None:
        raise UnusableSource(f"{files[0]} holds no rows below its header. Give it some.")
    return source


def _other_columns(path: Path, first: Path) -> str:
    return f"{path} has other columns than {first}. Score them apart, or make them alike."
