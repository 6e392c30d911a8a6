"""Keeps what is done of a scoring, so that the same command goes on with it."""

import csv
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO

import pyarrow.parquet as pq

from errors import CommandFailed
from parts import Record
from writers import Format, find_encoding, make_header

LAYOUT = 1  # another one as soon as a source is parted otherwise
ENDINGS: dict[str, Format] = {".csv": "csv", ".parquet": "parquet"}
HIDDEN = (".part-", ".model.pkl", ".lock")  # of us, in a folder that may hold others' too
COPIED_BYTES = 8 * 1024**2


class UnusableOutput(CommandFailed):
    """What is to be written is there already, or cannot be; the message says what to do."""


class Outcome(NamedTuple):
    """`rows` are all of them, `bad` those without an answer."""

    rows: int
    bad: int


class Output:
    """A file where the path ends like one, else a folder of parts; a file begins in one too.

    Other programs that read the folder pass over what begins with a point or an underscore.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ending = ENDINGS.get(path.suffix.lower())
        self.folder = path.with_name(f".{path.name}.parts") if self.ending else path
        # Within a folder, as that may be a disk of its own.
        self.bad = path.with_name(f"{path.name}.bad.csv") if self.ending else path / "_bad.csv"
        self.model = self.folder / ".model.pkl"
        self._state = self.folder / "_job.json"

    def read_state(self) -> dict[str, Any]:
        """What has been begun; empty where nothing has."""
        try:
            state = json.loads(self._state.read_bytes())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    @contextmanager
    def begin(self, identity: Mapping[str, Any]) -> Iterator[None]:
        """The folder, for this process alone; raises UnusableOutput.

        `identity` says what is scored with what: with another one, nothing goes on.
        """
        with self._open_lock() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                said = f"Another scoring writes {self.path} at this moment"
                raise UnusableOutput(f"{said}. Wait for it, or name another OUT.") from None
            self._match({"layout": LAYOUT, **identity})
            for leftover in self.folder.glob(".part-*.tmp"):
                leftover.unlink(missing_ok=True)
            yield

    def find_record(self, name: str, kind: Format) -> Record | None:
        """Of a part that is done."""
        try:
            record = Record(**json.loads((self.folder / f".{name}.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        return record if (self.folder / f"{name}.{kind}").exists() else None

    def finish(self, records: Mapping[str, Record], kind: Format, schema: Any) -> Outcome:
        """Records are by name, in order. What only a rerun would need is removed."""
        bad = sum(it.bad for it in records.values())
        outcome = Outcome(sum(it.rows for it in records.values()), bad)
        if bad:
            self._replace(self.bad, lambda path: self._join_bad(records, path))
        else:
            self.bad.unlink(missing_ok=True)
        if self.ending:
            parts = [self.folder / f"{name}.{kind}" for name in records]
            join = _join_csv if kind == "csv" else _join_parquet
            self._replace(self.path, lambda path: join(parts, path, schema))
        self._write_state({**self.read_state(), "done": outcome._asdict()})
        self.clear()
        return outcome

    def clear(self) -> None:
        """All but the parts in a folder, and all where they are joined; the state goes last."""
        for path in self.folder.iterdir():
            if path != self._state and (self.ending or path.name.startswith(HIDDEN)):
                path.unlink(missing_ok=True)
        if self.ending:
            self._state.unlink(missing_ok=True)
            self.folder.rmdir()

    def _open_lock(self) -> TextIO:
        state = self.read_state()
        if self.ending and self.path.exists() and not state:
            raise UnusableOutput(f"{self.path} is there already. Remove it, or name another OUT.")
        try:
            self.folder.mkdir(exist_ok=True)
            if not state and any(not it.name.startswith(".") for it in self.folder.iterdir()):
                said = f"The folder {self.folder} holds other files"
                raise UnusableOutput(f"{said}. Name a new one, or a file: OUT.csv, OUT.parquet.")
            return (self.folder / ".lock").open("w")
        except OSError as error:
            said = f"{self.path} cannot be written: {error.strerror}"
            raise UnusableOutput(f"{said}. In the container, scored/ is the place.") from None

    def _match(self, identity: dict[str, Any]) -> None:
        """Raises UnusableOutput where something else has been begun here."""
        begun = self.read_state()
        if not begun:
            self._write_state(identity)
            return
        for key, value in identity.items():
            if begun.get(key) != value:
                now, before = f"{key} {value}", f"{key} {begun.get(key)}"
                said = "with another input" if key == "files" else f"as {before}, and this is {now}"
                advice = f"Name another OUT, or remove {self.folder} to begin anew"
                raise UnusableOutput(f"{self.path} was begun {said}. {advice}.")

    def _write_state(self, state: dict[str, Any]) -> None:
        self._replace(self._state, lambda path: path.write_text(json.dumps(state, indent=1)))

    def _replace(self, path: Path, write: Any) -> None:
        """In one move, once it is on disk."""
        temporary = self.folder / f".{path.name.lstrip('.')}.tmp"
        try:
            write(temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _join_bad(self, records: Mapping[str, Record], path: Path) -> None:
        """With rows numbered by file, as each part has counted its own."""
        with path.open("w", newline="") as file:
            written = csv.writer(file)
            written.writerow(["file", "row", "column", "reason"])
            before: dict[str, int] = {}
            for name, record in records.items():
                start = before.get(record.path, 0)
                before[record.path] = start + record.rows
                with (self.folder / f".{name}.bad.csv").open(newline="") as part:
                    for row, column, reason in csv.reader(part):
                        written.writerow([record.path, start + int(row), column, reason])


def _join_csv(parts: list[Path], path: Path, schema: Any) -> None:
    header = make_header(schema.names)
    with path.open("wb") as joined:
        joined.write(header)
        for part in parts:
            with part.open("rb") as file:
                file.seek(len(header))
                _copy(file, joined)


def _copy(source: BinaryIO, target: BinaryIO) -> None:
    while block := source.read(COPIED_BYTES):
        target.write(block)


def _join_parquet(parts: list[Path], path: Path, schema: Any) -> None:
    with pq.ParquetWriter(path, schema, **find_encoding(schema)) as joined:
        for part in parts:
            with pq.ParquetFile(part, pre_buffer=False) as file:
                for group in range(file.num_row_groups):
                    joined.write_table(file.read_row_group(group).cast(schema))
