"""Says what is in the files of a table, and splits them into parts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from errors import CommandFailed
from files.listing import File, find_kind, look_at
from files.reading import Text, read_blocks, read_text, reading
from files.text import cut
from schemas import Description
from worker.media import Format

PART_ROWS = 262_144  # of row groups that are put together
PIECE_BYTES = 8 * 1024**2  # of text that is cut

Look = Callable[[File, dict[str, Any]], dict[str, Any]]


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
            for body in cut(blocks, text.header.delimiter, text.start):
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


def open_source(paths: list[Path], known: Description, wanted: Format | None, look: Look) -> Source:
    """Raises CommandFailed or OSError; `look` has a process say what is in a file.

    The format that is wanted is by default that of the files.
    """
    kinds = {find_kind(path) for path in paths}
    if len(kinds) > 1:
        raise CommandFailed("IN holds both CSV and Parquet. Score each in a folder of its own.")
    [kind] = kinds
    head = {"sent": kind, "wanted": wanted or kind}
    source = Source([look_at(path) for path in paths], head, {}, {})
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
