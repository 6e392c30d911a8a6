"""Has a table's parts answered by the model's processes, one for each core."""

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from errors import CommandFailed, InvalidTable, ModelServerError, ModelWorkerEnded
from features.warnings import REASONS, name_warnings
from files.listing import File
from files.output import Outcome, Output
from files.sources import Part
from serving.inference import Model
from worker.exchange import ExchangeError, Message
from worker.failures import read_failure
from worker.media import Format
from worker.nursery import WorkerProcess

ATTEMPTS = 3  # of a part whose process ends
PARTS_AHEAD = 2  # for each core: no more of their text is held


class Pool:
    """Asks the processes of one model, from as many threads."""

    def __init__(self, model: Model, seconds: float) -> None:
        self.cores = len(os.sched_getaffinity(0))
        self._model = model
        self._seconds = seconds
        self._idle: list[WorkerProcess] = []
        self._has_ended = False

    def look(self, file: File, head: dict[str, Any]) -> dict[str, Any]:
        """Say what is in a file; raises CommandFailed if it cannot be scored."""
        head = {"ask": "look", "size": file.size, **head}
        try:
            *_, told = self._ask(head, [file.path])
        except InvalidTable as error:
            said = " ".join(fault.detail for fault in error.faults)
            raise CommandFailed(f"{file.path}: {said}") from None
        except ModelServerError as error:
            raise _refuse(file.path, head["sent"], error) from None
        return told.head

    def join(self, parts: list[Path], joined: BinaryIO) -> None:
        """Put files of Parquet together."""
        sizes = [part.stat().st_size for part in parts]
        for message in self._ask({"ask": "join", "sizes": sizes}, parts):
            for array in message.arrays.values():
                joined.write(array.data)

    def score(self, parts: Iterator[Part], output: Output) -> Iterator[tuple[Part, Outcome]]:
        """Yield each part when it is done, in order; raises CommandFailed or OSError."""
        threads = ThreadPoolExecutor(self.cores)
        pending: deque[Future[tuple[Part, Outcome]]] = deque()
        try:
            for part in parts:
                pending.append(threads.submit(self._score, part, output))
                if len(pending) >= PARTS_AHEAD * self.cores:
                    yield pending.popleft().result()
            yield from (done.result() for done in pending)
        finally:
            self._has_ended = True
            threads.shutdown(wait=False, cancel_futures=True)

    def _score(self, part: Part, output: Output) -> tuple[Part, Outcome]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return part, self._write_part(part, output)
            except ModelServerError as error:
                is_final = attempt == ATTEMPTS or self._has_ended
                if is_final or not isinstance(error, ModelWorkerEnded):
                    said = f"Part of {part.file.path} cannot be scored: {str(error).rstrip('.')}"
                    message = f"{said}. Fix it, and the same command resumes"
                    raise CommandFailed(f"{message}.") from None
        raise AssertionError

    def _write_part(self, part: Part, output: Output) -> Outcome:
        head = {"ask": "part", "size": part.file.size, **part.head}
        with output.write_part(part.name) as (rows, bad):
            part.file.require_same()
            for message in self._ask(head, [part.file.path], part.body):
                told = message
                for name, file in (("piece", rows), ("faults", bad)):
                    if name in told.arrays:
                        file.write(told.arrays[name].data)
            outcome = _read_outcome(part, told, self._model.names)
            part.file.require_same()
        output.write_outcome(part.name, outcome)
        return outcome

    def _ask(self, head: dict[str, Any], paths: list[Path], body: bytes = b"") -> Iterator[Message]:
        """The messages of a process, whose reads are served; raises ModelWorkerEnded or a fault."""
        process = self._idle.pop() if self._idle else self._model.worker.start_another()
        try:
            process.tell(Message(head, {"body": np.frombuffer(body, np.uint8)}), self._seconds)
            yield from self._serve(process, paths)
        except TimeoutError:
            raise ModelWorkerEnded(f"It took longer than {self._seconds:g} seconds") from None
        except (ExchangeError, LookupError, TypeError, ValueError, OverflowError) as error:
            raise ModelWorkerEnded(f"Its process has ended: {error}") from None
        self._idle.append(process)

    def _serve(self, process: WorkerProcess, paths: list[Path]) -> Iterator[Message]:
        """All messages but reads, to the last."""
        while True:
            message = process.receive(self._seconds)
            if "failure" in message.head:
                raise read_failure(message.head["failure"])
            if "read" in message.head:
                index, offset, size = map(int, message.head["read"])
                content = np.frombuffer(_read_bytes(paths[index], offset, size), np.uint8)
                process.tell(Message({}, {"content": content}), self._seconds)
                continue
            yield message
            if "done" in message.head:
                return


def _refuse(path: Path, kind: Format, error: ModelServerError) -> CommandFailed:
    said = str(error).rstrip(".")
    if kind is Format.PARQUET:
        return CommandFailed(f"The Parquet file {path} is damaged: {said}. Copy it again.")
    advice = " Save a table this large as CSV." if isinstance(error, ModelWorkerEnded) else ""
    return CommandFailed(f"{path} cannot be read: {said}.{advice}")


def _read_bytes(path: Path, offset: int, size: int) -> bytes:
    """At most what there is: a process may ask for anything."""
    with path.open("rb", buffering=0) as file:
        left = os.fstat(file.fileno()).st_size - file.seek(offset)
        return file.read(max(0, min(size, left)))


def _read_outcome(part: Part, told: Message, names: list[str]) -> Outcome:
    counts = told.arrays.get("warnings", np.empty(0))
    is_counted = counts.dtype == np.int64 and counts.shape == (len(names), len(REASONS))
    match told.head:
        case {"rows": int(rows), "bad": int(bad)} if is_counted:
            return Outcome(str(part.file.path), rows, bad, name_warnings(names, counts))
    raise ModelWorkerEnded("Its process does not say how many rows it has read")
