"""Keeps what is done of a scoring, so that the same command resumes it."""

import csv
import fcntl
import io
import json
import os
import shutil
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from errors import CommandFailed
from features.warnings import Warnings
from files.text import read_first_row
from files.warned import add_warnings
from worker.media import Format

LAYOUT = 4  # another one as soon as a source is split otherwise
ENDINGS = {".csv": Format.CSV, ".parquet": Format.PARQUET}
NAMES = {kind: ending for ending, kind in ENDINGS.items()}
HIDDEN = (".part-", ".ready", ".lock", ".join")  # of us, in a folder that may hold others' too
PATHS = "surrogateescape"  # as they need not be text
COPIED_BYTES = 8 * 1024**2

Join = Callable[[list[Path], BinaryIO], None]


class Outcome(NamedTuple):
    """What has come of a file or a part of one: `rows` are all, `bad` those without an answer."""

    path: str
    rows: int
    bad: int
    warnings: Warnings = {}  # noqa: RUF012  never changed

    @classmethod
    def sum(cls, path: str, outcomes: Collection["Outcome"]) -> "Outcome":
        rows, bad = sum(each.rows for each in outcomes), sum(each.bad for each in outcomes)
        return cls(path, rows, bad, add_warnings(each.warnings for each in outcomes))


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
        self._state = self.folder / "_job.json"
        self._kind = Format.CSV
        self._is_shared = False
        # What is put together, whole before it gets its name, and that name.
        self._results = {self.folder / ".ready-bad": self.bad}
        if self.ending:
            self._results[self.folder / ".ready"] = self.path

    def read_state(self) -> dict[str, Any]:
        """What has been begun; empty where nothing has."""
        try:
            state = json.loads(self._state.read_bytes())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def require_usable(self) -> None:
        """Raise the CommandFailed that `begin` would, if it can be told without writing."""
        self._require_free()
        with self._failing():
            if self.folder.exists():
                self._require_ours()
            else:
                os.stat(f"{self.folder.parent}/.")  # noqa: PTH116  # pathlib drops the dot

    @contextmanager
    def begin(
        self, kind: Format, identity: Mapping[str, Any], *, shared: bool = False
    ) -> Iterator[Outcome | None]:
        """The folder, for this process or for those that share it, and what `resume` returns.

        Raises CommandFailed. `identity` says what is scored with what: with another one, nothing
        goes on.
        """
        self._kind, self._is_shared = kind, shared
        with self._failing():
            self.folder.mkdir(exist_ok=True)
            self._require_ours()
            lock = (self.folder / ".lock").open("w")
        with lock:
            try:
                fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                said = f"Another scoring writes {self.path} at this moment"
                raise CommandFailed(f"{said}. Wait for it, or name another OUT.") from None
            with self.alone():
                self._require_free()
                self._require_begun_with({"layout": LAYOUT, "format": NAMES[kind], **identity})
                done = self.resume()
            if not shared:
                for leftover in self.folder.glob(".part-*.tmp"):
                    leftover.unlink(missing_ok=True)
            yield done
        if self.ending:
            with suppress(OSError):  # over NFS, what was open is there until now
                self.folder.rmdir()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps those that share the folder waiting."""
        with (self.folder / ".join").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def find_outcome(self, name: str) -> Outcome | None:
        """Of a part that is done."""
        try:
            outcome = Outcome(**json.loads((self.folder / f".{name}.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        return outcome if self.locate(name).exists() else None

    def locate(self, name: str) -> Path:
        return self.folder / f"{name}{NAMES[self._kind]}"

    def locate_bad(self, name: str) -> Path:
        return self.folder / f".{name}.bad.csv"

    @contextmanager
    def write_part(self, name: str) -> Iterator[tuple[BinaryIO, BinaryIO]]:
        """Files for its rows and its bad rows, which get their names at the end."""
        with _writing(self.locate(name)) as rows, _writing(self.locate_bad(name)) as bad:
            yield rows, bad

    def write_outcome(self, name: str, outcome: Outcome) -> None:
        """Note that the part is done."""
        _write_json(self.folder / f".{name}.json", outcome._asdict())

    def resume(self) -> Outcome | None:
        """The outcome of a scoring that is done; moves results stranded by a kill into place.

        Raises CommandFailed if files of others are in those places.
        """
        state = self.read_state()
        done = state.pop("done", None)
        if not done:
            return None
        self._publish()
        if not self.path.exists():  # it was there, and has been taken away
            _write_json(self._state, state)
            return None
        self.clear()
        return Outcome(**done)

    def finish(self, outcomes: Mapping[str, Outcome], join: Join) -> Outcome:
        """Outcomes are by name, in order. What only a rerun would need is removed.

        Raises CommandFailed if files of others are in the places of the results.
        """
        for leftover in self._results:
            leftover.unlink(missing_ok=True)
        outcome = Outcome.sum(str(self.path), outcomes.values())
        if outcome.bad:
            with _writing(self.folder / ".ready-bad") as file:
                self._join_bad(outcomes, file)
        if self.ending:
            parts = [self.locate(name) for name in outcomes]
            with _writing(self.folder / ".ready") as file:
                (_join_csv if self._kind is Format.CSV else join)(parts, file)
        _write_json(self._state, {**self.read_state(), "done": outcome._asdict()})
        self._publish()
        self.clear()
        return outcome

    def clear(self) -> None:
        """All but the parts in a folder, and all if they are joined; the state goes last.

        The state stays if others share the folder: they may not have begun. What cannot be removed
        stays, as the scoring is done all the same.
        """
        for path in self.folder.iterdir():
            if path != self._state and (self.ending or path.name.startswith(HIDDEN)):
                with suppress(OSError):
                    path.unlink()
        if self.ending and not self._is_shared:
            with suppress(OSError):
                self._state.unlink()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _publish(self) -> None:
        for ready, path in self._results.items():
            if ready.exists():
                _put(ready, path)

    def _require_free(self) -> None:
        """Raises CommandFailed where a file is there that this scoring has not put there."""
        is_done = "done" in self.read_state()
        for ready, path in self._results.items():
            is_ours = is_done and (not ready.exists() or _is_same(ready, path))
            if os.path.lexists(path) and not is_ours:
                raise _refuse(path)

    def _require_ours(self) -> None:
        """Raises CommandFailed if the folder holds files, and no scoring has begun there."""
        # The state first: another scoring that ends meanwhile takes it away before its folder.
        state = self.read_state()
        if not state and any(not path.name.startswith(".") for path in self.folder.iterdir()):
            said = f"The folder {self.folder} holds other files"
            raise CommandFailed(f"{said}. Name a new one, or a file: OUT.csv, OUT.parquet.")

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            said = f"{self.path} cannot be written: {error.strerror}"
            raise CommandFailed(
                f"{said}. In Docker, write to data/scored/; on Kubernetes to the volume of the Job."
            ) from None

    def _require_begun_with(self, identity: dict[str, Any]) -> None:
        """Raises CommandFailed where something else has been begun here."""
        begun = self.read_state()
        if not begun:
            _write_json(self._state, identity)
            return
        for key, value in identity.items():
            if begun.get(key) != value:
                now, before = f"{key} {value}", f"{key} {begun.get(key)}"
                said = "with another input" if key == "files" else f"as {before}, and this is {now}"
                advice = f"Name another OUT, or remove {self.folder} to begin again"
                raise CommandFailed(f"{self.path} was begun {said}. {advice}.")

    def _join_bad(self, outcomes: Mapping[str, Outcome], joined: BinaryIO) -> None:
        """With rows numbered by file, as each part has counted its own."""
        joined.write(_to_csv([["file", "row", "column", "reason"]]))
        before = dict.fromkeys((outcome.path for outcome in outcomes.values()), 0)
        for name, (path, rows, *_) in outcomes.items():
            with self.locate_bad(name).open(newline="", encoding="utf-8") as part:
                found = ([path, before[path] + int(row), *said] for row, *said in csv.reader(part))
                joined.write(_to_csv(found))
            before[path] += rows


@contextmanager
def _writing(path: Path) -> Iterator[BinaryIO]:
    """A file with a hidden name of this process's own, on disk and renamed at the end, or gone."""
    temporary = path.with_name(f".{path.name.lstrip('.')}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with _writing(path) as file:
        file.write(json.dumps(content).encode())


def _to_csv(rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode(errors=PATHS)


def _put(ready: Path, path: Path) -> None:
    """Give the file its name unless that is taken; raises CommandFailed."""
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


def _refuse(path: Path) -> CommandFailed:
    return CommandFailed(f"{path} is there already. Remove it, or name another OUT.")


def _join_csv(parts: list[Path], joined: BinaryIO) -> None:
    """The header of the first part, and the rows of all."""
    for index, part in enumerate(parts):
        with part.open("rb") as file:
            if index:
                file.seek(len(read_first_row(file, ",")))
            shutil.copyfileobj(file, joined, COPIED_BYTES)
