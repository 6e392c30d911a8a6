"""Says what is in the files of a table, and splits them into parts."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from errors import CommandFailed
from features.answers import RENAMED
from files.listing import NAMES, File, find_kind, look_at
from files.reading import NO_TEXT, Text, read_blocks, read_text, reading
from files.text import cut
from schemas import Description
from worker.headers import MOST_READ_AS, describe
from worker.media import Format

PART_ROWS = 262_144  # of row groups that are put together
TOLD_RENAMINGS = 100
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


class Content(NamedTuple):
    """A file's content: `groups` are the rows of each row group of Parquet, `text` is CSV's."""

    columns: str
    read_as: str
    renamed: int  # times that the answer's columns are
    groups: list[int]
    text: Text


class Source(NamedTuple):
    """Files with the same columns; `head` describes them to the process that reads them."""

    files: list[File]
    head: dict[str, Any]
    contents: dict[Path, Content]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def identity(self) -> list[list[str | int]]:
        """Another one as soon as a file is."""
        return [[str(path), size, mtime] for path, size, mtime in self.files]

    def tell(self) -> Iterator[str]:
        """How the files are read, and if the answer's columns are not called as usual."""
        counts = Counter(it.read_as for it in self.contents.values() if it.read_as)
        for said, count in counts.items():
            some = f"{said.rstrip('.')} ({count:,} of {len(self.files):,} files)."
            yield said if count == len(self.files) else some
        if renamed := self.contents[self.files[0].path].renamed:
            mark = RENAMED * renamed
            yield f"The columns of the answer begin with {mark}, as others have their names."

    def list_parts(self) -> Iterator[Part]:
        """Yield parts in the same order each time; raises CommandFailed or OSError."""
        split = self._split_csv if self.head["sent"] is Format.CSV else self._split_groups
        found = (part for file in self.files for part in split(file))
        yield from (part._replace(number=number) for number, part in enumerate(found))

    def _split_csv(self, file: File) -> Iterator[Part]:
        """About 8 MB of text each; gzip cannot be read from the middle, nor by several at once."""
        text = self.contents[file.path].text
        with reading(file.path) as (raw, content):
            before = 0
            blocks = read_blocks(content, text.encoding, PIECE_BYTES)
            for body, is_last in cut(blocks, text.header.delimiter, text.start):
                ends = {"is_first": not before, "is_last": is_last}
                size, before = raw.tell() - before, raw.tell()
                yield Part(0, file, size, self.head | text.head | {"ends": ends}, body)

    def _split_groups(self, file: File) -> Iterator[Part]:
        """Whole row groups, as rows within one are found only by reading those before.

        A workbook is one.
        """
        groups = self.contents[file.path].groups
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
        held = " and ".join(sorted(NAMES[kind] for kind in kinds))
        raise CommandFailed(f"IN holds {held}. Score each in a folder of its own.")
    [kind] = kinds
    head = {"sent": kind, "wanted": wanted or (Format.CSV if kind is Format.XLSX else kind)}
    files = [look_at(path) for path in paths]
    source = Source(files, head, {file.path: _look(file, head, known, look) for file in files})
    for path, content in source.contents.items():
        if content.columns != source.contents[files[0].path].columns:
            message = f"{path} has other columns than {paths[0]}"
            raise CommandFailed(f"{message}. Score them apart, or make them alike.")
    if next(source.list_parts(), None) is None:
        raise CommandFailed(f"{paths[0]} holds no rows below its header. Give it some.")
    return source


def _look(file: File, head: dict[str, Any], known: Description, look: Look) -> Content:
    text, said = NO_TEXT, ""
    if head["sent"] is Format.CSV:
        encoding = known.written.encoding if known.written else None
        text = read_text(file.path, [feature.name for feature in known.features], encoding)
        said = describe(text.encoding, text.header, known.features)
        head = head | text.head
    match look(file, head):
        case {
            "columns": str(columns),
            "read_as": str(read_as),
            "renamed": int(renamed),
            "groups": [*groups],
        } if all(isinstance(rows, int) for rows in groups):
            said = said or "".join(filter(str.isprintable, read_as[:MOST_READ_AS]))
            return Content(columns, said, min(renamed, TOLD_RENAMINGS), groups, text)
    raise CommandFailed(f"The process that opened {file.path} does not say what is in it.")
