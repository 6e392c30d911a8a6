"""Has a table answered by a process of its own, piece by piece."""

import asyncio
from contextlib import closing
from functools import partial
from time import monotonic
from typing import NamedTuple

import numpy as np

from batch.delivery import Pieces
from batch.line import Line
from errors import ModelWorkerEnded
from journal.ledger import TableCounter
from features.counts import COUNTED, TableCounts
from serving.inference import Model
from settings import Settings
from worker.exchange import ExchangeError, Message
from worker.failures import read_failure
from worker.media import Format
from worker.nursery import WorkerProcess

ROUNDED_UP = 1 + 1e-6  # a probability
KEPT_BYTES = 256 * 1024  # of a table in JSON whose process answers the next one too
MOST_SAID = 128 * 1024  # of JSON beside a piece, as reading it keeps the event loop
MOST_PIECE = 64 * 1024**2  # of an answer: eight times what a piece has, if its rows are not huge


class Job(NamedTuple):
    """What is asked of a model, and in which formats."""

    model: Model
    sent: Format
    wanted: Format
    counter: TableCounter
    settings: Settings


async def score(body: bytes, job: Job, line: Line) -> Pieces:
    """The answer, not made before it is asked for; raises TooManyBatches and what is at fault."""
    head = {
        "sent": job.sent,
        "wanted": job.wanted,
        "rows": job.settings.max_batch_rows,
        "bytes": job.settings.max_body_bytes,
    }
    left = job.settings.batch_seconds  # of the process's own time, as a caller may take longer
    # Memory-safe code parses JSON, so a small table leaves the process as it was.
    is_kept = job.sent is Format.JSON and len(body) <= KEPT_BYTES
    worker = job.model.worker
    async with line.turn():
        process = await line.run(partial(worker.take_spare, is_kept=is_kept))
        with closing(job.counter), worker.lend(process, head, is_kept=is_kept):
            try:
                arrays = {"body": np.frombuffer(body, np.uint8)}
                await process.tell_soon(head | {"ask": "table"}, arrays, left)
                while True:
                    message, taken = await _receive(process, left)
                    left -= taken
                    if counts := _read_counts(message, job):
                        job.counter.add(counts)
                    if "failure" in message.head:
                        raise read_failure(message.head["failure"])
                    if "done" in message.head:
                        return
                    yield _read_piece(message)
            except TimeoutError:
                seconds = job.settings.batch_seconds
                said = f"The table took longer than {seconds:g} seconds. Send less."
                raise ModelWorkerEnded(said) from None
            except (ArithmeticError, ExchangeError, LookupError, TypeError, ValueError) as error:
                said = f"The table's process has ended: {error} Send less, or look at the table."
                raise ModelWorkerEnded(said) from None


async def _receive(process: WorkerProcess, left: float) -> tuple[Message, float]:
    """The next message, and the seconds it took; raises TimeoutError if none are left."""
    await asyncio.sleep(0)  # others come first, also if there is always more to read
    if left <= 0:
        raise TimeoutError
    began = monotonic()
    message = await process.receive_soon(left, MOST_PIECE, MOST_SAID)
    return message, monotonic() - began


def _read_piece(message: Message) -> memoryview:
    """Raises what Python does if it is not some bytes in a row, whose length is their number."""
    piece = message.arrays["piece"].astype(np.uint8, casting="no", copy=False)
    if piece.ndim != 1 or not piece.size:
        raise ValueError("its answer is not bytes.")
    return piece.data


def _read_counts(message: Message, job: Job) -> TableCounts | None:
    """Raises what Python does if they are not those of such a model."""
    head, arrays = message
    if "rows" not in head:
        return None
    features, classes, probabilities = (arrays[name] for name in COUNTED)
    counts = TableCounts(int(head["rows"]), features, classes, probabilities, float(head["total"]))
    if not 0 <= counts.rows <= job.settings.max_batch_rows:
        raise ValueError("its rows are not those of a table.")
    for found, empty in zip(counts[1:4], job.model.empty_counts[1:4], strict=True):
        if found.shape != empty.shape or found.dtype != empty.dtype:
            raise ValueError("its counts are wrong.")
        if ((found < 0) | (found > counts.rows)).any():
            raise ValueError("its counts are not of these rows.")
    # A total that is not a number would stay in all sums to come.
    if not 0 <= counts.total <= counts.classes.sum() * ROUNDED_UP:
        raise ValueError("its sums are wrong.")
    return counts
