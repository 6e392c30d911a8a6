"""Keeps what is done of a scoring, so that the same command goes on with it."""

import csv
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO

import pyarrow.parquet as pq

from errors import CommandFailed
from writers import Format, find_encoding, make_header

LAYOUT = 1  # another one as soon as a source is parted otherwise
ENDINGS: dict[str, Format] = {".csv": "csv", ".parquet": "parquet"}
HIDDEN = (".part-", ".ready", ".model.pkl", ".lock")  # of us, in a folder that may hold others' too
COPIED_BYTES = 8 * 1024**2


class UnusableOutput(CommandFailed):
    """What is to be written is there already, or cannot be; the message says what to do."""


class Record(NamedTuple):
    """A partition that is done; `rows` are all of it, `bad` those without an answer."""

    path: str
    rows: int
    bad: int


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
        # What is put together, whole before it gets its name, and that name.
        self._ready = self.folder / ".ready"
        self._ready_bad = self.folder / ".ready-bad"
        self._results = {self._ready_bad: self.bad}
        if self.ending:
            self._results[self._ready] = self.path

    def read_state(self) -> dict[str, Any]:
        """What has been begun; empty where nothing has."""
        try:
            state = json.loads(self._state.read_bytes())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def require_usable(self) -> None:
        """Raise the UnusableOutput that `begin` would, if it can be told without writing."""
        self._require_free()
        with self._failing_as_unusable():
            if self.folder.exists():
                self._require_ours()
            else:
                os.stat(f"{self.folder.parent}/.")  # noqa: PTH116  # pathlib drops the dot

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
            self._require_free()  # again, as the other may just have ended
            self._match({"layout": LAYOUT, **identity})
            for leftover in self.folder.glob(".part-*.tmp"):
                leftover.unlink(missing_ok=True)
            yield
        if self.ending:
            with suppress(OSError):  # over NFS, what was open is there until now
                self.folder.rmdir()

    def find_record(self, name: str, kind: Format) -> Record | None:
        """Of a part that is done."""
        try:
            record = Record(**json.loads((self.folder / f".{name}.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        return record if (self.folder / f"{name}.{kind}").exists() else None

    def resume(self) -> Outcome | None:
        """Of a scoring that is done; what a kill has kept from its place is put there.

        Raises UnusableOutput where files of others are in those places.
        """
        state = self.read_state()
        done = state.pop("done", None)
        if not done:
            return None
        self._publish()
        if not self.path.exists():  # it was there, and has been taken away
            self._write_state(state)
            return None
        self.clear()
        return Outcome(**done)

    def finish(self, records: Mapping[str, Record], kind: Format, schema: Any) -> Outcome:
        """Records are by name, in order. What only a rerun would need is removed.

        Raises UnusableOutput where files of others are in the places of the results.
        """
        for leftover in self._results:
            leftover.unlink(missing_ok=True)
        bad = sum(it.bad for it in records.values())
        outcome = Outcome(sum(it.rows for it in records.values()), bad)
        if bad:
            _write(self._ready_bad, lambda path: self._join_bad(records, path))
        if self.ending:
            parts = [self.folder / f"{name}.{kind}" for name in records]
            join = _join_csv if kind == "csv" else _join_parquet
            _write(self._ready, lambda path: join(parts, path, schema))
        self._write_state({**self.read_state(), "done": outcome._asdict()})
        self._publish()
        self.clear()
        return outcome

    def clear(self) -> None:
        """All but the parts in a folder, and all where they are joined; the state goes last.

        What cannot be removed stays, as the scoring is done all the same.
        """
        for path in self.folder.iterdir():
            if path != self._state and (self.ending or path.name.startswith(HIDDEN)):
                with suppress(OSError):
                    path.unlink()
        if self.ending:
            with suppress(OSError):
                self._state.unlink()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _publish(self) -> None:
        for ready, path in self._results.items():
            if ready.exists():
                _put(ready, path)

    def _require_free(self) -> None:
        """Raises UnusableOutput where a file is there that this scoring has not put there."""
        is_done = "done" in self.read_state()
        for ready, path in self._results.items():
            is_ours = is_done and (not ready.exists() or _is_same(ready, path))
            if os.path.lexists(path) and not is_ours:
                raise _refuse(path)

    def _open_lock(self) -> TextIO:
        self._require_free()
        with self._failing_as_unusable():
            self.folder.mkdir(exist_ok=True)
            self._require_ours()
            return (self.folder / ".lock").open("w")

    def _require_ours(self) -> None:
        """Raises UnusableOutput if the folder holds files, and no scoring has begun there."""
        # The state first: another scoring that ends meanwhile takes it away before its folder.
        state = self.read_state()
        if not state and any(not it.name.startswith(".") for it in self.folder.iterdir()):
            said = f"The folder {self.folder} holds other files"
            raise UnusableOutput(f"{said}. Name a new one, or a file: OUT.csv, OUT.parquet.")

    @contextmanager
    def _failing_as_unusable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            said = f"{self.path} cannot be written: {error.strerror}"
            place = "In Compose's container scored/ is the place, on Kubernetes data/"
            raise UnusableOutput(f"{said}. {place}.") from None

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
        """In one move, once it is on disk."""
        temporary = self.folder / "._job.json.tmp"
        _write(temporary, lambda path: path.write_text(json.dumps(state, indent=1)))
        temporary.rename(self._state)

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


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """Onto the disk, or not at all."""
    try:
        write(path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _put(ready: Path, path: Path) -> None:
    """Where nothing else is; raises UnusableOutput."""
    try:
        os.link(ready, path)
    except FileExistsError:
        if not _is_same(ready, path):
            raise _refuse(path) from None
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise _refuse(path) from None
        ready.rename(path)


def _is_same(ready: Path, path: Path) -> bool:
    try:
        return ready.samefile(path)
    except FileNotFoundError:
        return False


def _refuse(path: Path) -> UnusableOutput:
    return UnusableOutput(f"{path} is there already. Remove it, or name another OUT.")


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
