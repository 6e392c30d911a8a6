"""Has a table's parts answered by the model's processes, one for each core."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from batch.media import Format
from errors import CommandFailed, InvalidTable, ModelServerError, ModelWorkerEnded
from files.output import Output, Record
from files.sources import File, Part
from inference import Model
from worker.exchange import ExchangeError, Message
from worker.faults import read_fault
from worker.nursery import WorkerProcess

ATTEMPTS = 3  # of a part whose process ends
PARTS_AHEAD = 2  # for each core: no more of their text is held

Take = Callable[[Message], None]


class Crew:
    """Asks the processes of one model, from as many threads."""

    def __init__(self, model: Model, seconds: float) -> None:
        self.cores = len(os.sched_getaffinity(0))
        self._model = model
        self._seconds = seconds
        self._idle: list[WorkerProcess] = []
        self._has_ended = False

    def look(self, file: File, head: dict[str, Any]) -> dict[str, Any]:
        """Say what is in a file; raises CommandFailed if it cannot be scored."""
        head = {"ask": "look", "wanted": head["sent"], "size": file.size, **head}
        try:
            return self._ask(head, [file.path])
        except InvalidTable as error:
            raise CommandFailed(" ".join(it.detail for it in error.faults)) from None
        except ModelServerError as error:
            said = f"The Parquet file {file.path} is damaged: {str(error).rstrip('.')}"
            raise CommandFailed(f"{said}. Copy it again.") from None

    def join(self, parts: list[Path], joined: BinaryIO) -> None:
        """Put files of Parquet together."""
        sizes = [it.stat().st_size for it in parts]
        self._ask({"ask": "join", "sizes": sizes}, parts, take=_write_to(joined))

    def score(
        self, parts: Iterator[Part], output: Output, wanted: Format
    ) -> Iterator[tuple[Part, Record]]:
        """Yield each part when it is done; raises CommandFailed or OSError."""
        pool = ThreadPoolExecutor(self.cores)
        pending: set[Future[tuple[Part, Record]]] = set()
        try:
            for part in parts:
                pending.add(pool.submit(self._score, part, output, wanted))
                if len(pending) >= PARTS_AHEAD * self.cores:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    yield from (it.result() for it in done)
            while pending:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (it.result() for it in done)
        finally:
            self._has_ended = True
            pool.shutdown(wait=False, cancel_futures=True)

    def _score(self, part: Part, output: Output, wanted: Format) -> tuple[Part, Record]:
        head = {"ask": "part", "wanted": wanted, "size": part.file.size, **part.head}
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with output.write_part(part.name, wanted) as (rows, bad, record):
                    part.file.require_same()
                    counts = [0, 0]
                    self._ask(head, [part.file.path], part.body, _write_to(rows, bad, counts))
                    part.file.require_same()
                    record.append(Record(str(part.file.path), *counts))
                return part, record[0]
            except ModelServerError as error:
                is_final = attempt == ATTEMPTS or self._has_ended
                if is_final or not isinstance(error, ModelWorkerEnded):
                    said = f"Part of {part.file.path} cannot be scored: {str(error).rstrip('.')}"
                    message = f"{said}. Fix it, and the same command resumes"
                    raise CommandFailed(f"{message}.") from None
        raise AssertionError

    def _ask(
        self,
        head: dict[str, Any],
        paths: list[Path],
        body: bytes = b"",
        take: Take = lambda _: None,
    ) -> dict[str, Any]:
        """Serve a process's reads until it is done, and return the last head.

        Raises ModelWorkerEnded, or what the process says.
        """
        process = self._idle.pop() if self._idle else self._model.worker.start_another()
        try:
            process.tell(head, {"body": np.frombuffer(body, np.uint8)}, self._seconds)
            told = self._serve(process, paths, take)
        except TimeoutError:
            raise ModelWorkerEnded(f"It took longer than {self._seconds:g} seconds") from None
        except (ExchangeError, LookupError, TypeError, ValueError, OverflowError) as error:
            raise ModelWorkerEnded(f"Its process has ended: {error}") from None
        self._idle.append(process)
        return told

    def _serve(self, process: WorkerProcess, paths: list[Path], take: Take) -> dict[str, Any]:
        with ExitStack() as stack:
            opened: dict[int, BinaryIO] = {}
            while True:
                message = process.receive(self._seconds)
                if "fault" in message.head:
                    raise read_fault(message.head["fault"])
                if "read" not in message.head:
                    take(message)
                    if "done" in message.head:
                        return message.head
                    continue
                index, offset, size = map(int, message.head["read"])
                if index not in opened:
                    opened[index] = stack.enter_context(paths[index].open("rb"))
                descriptor = opened[index].fileno()
                left = os.fstat(descriptor).st_size - offset
                content = os.pread(descriptor, max(0, min(size, left)), offset)
                arrays = {"content": np.frombuffer(content, np.uint8)}
                process.tell({}, arrays, self._seconds)


def _write_to(rows: BinaryIO, bad: BinaryIO | None = None, counts: list[int] | None = None) -> Take:
    def take(message: Message) -> None:
        head, arrays = message
        if "piece" in arrays:
            rows.write(arrays["piece"].data)
        if bad and counts:
            counts[0] += int(head["rows"])
            counts[1] += int(head["bad"])
            bad.write(arrays["faults"].data)

    return take
