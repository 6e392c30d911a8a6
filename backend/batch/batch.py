"""Has a table answered by a process of its own, piece by piece."""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from time import monotonic
from typing import Any, Literal, NamedTuple

import numpy as np

from batch.download import Pieces
from batch.queue import Queue
from batch.remarks import write_headers
from errors import ModelWorkerEnded
from features.counts import COUNTED, TableCounts
from journal.ledger import TableCounter
from serving.inference import Model
from settings import Settings
from worker.exchange import ExchangeError, Message, Room
from worker.failures import read_failure
from worker.media import Format
from worker.model_worker import ROUNDED
from worker.nursery import WorkerProcess

REUSED_BYTES = 256 * 1024  # of a table in JSON whose process answers the next one too
# Eight times a piece whose rows are not huge; little JSON, as reading it keeps the event loop.
PIECE_ROOM = Room(64 * 1024**2, 128 * 1024)


class Batch(NamedTuple):
    """A table, the model that is asked, in which formats, and what comes of it.

    `ask` is what its process is asked: to answer the table, or to show how it is read.
    """

    body: bytes
    model: Model
    sent: Format
    wanted: Format
    counter: TableCounter
    settings: Settings
    headers: dict[str, str]  # of the answer; what is said of the table is added
    sheet: str | None = None  # of a workbook
    ask: Literal["table", "preview"] = "table"


async def score(batch: Batch, queue: Queue) -> Pieces:
    """The answer, not made before it is asked for; raises TooManyBatches and what is at fault."""
    head = _make_head(batch)
    left = batch.settings.batch_seconds  # of the process's own time, as a caller may take longer
    # Memory-safe code parses JSON, so a small table leaves the process as it was.
    is_kept = batch.sent is Format.JSON and len(batch.body) <= REUSED_BYTES
    worker = batch.model.worker
    async with queue.turn():
        process = await queue.run(partial(worker.take_spare, is_kept=is_kept))
        lent = worker.lend(process, head, is_kept=is_kept)
        with closing(batch.counter), lent, _answering(batch.settings.batch_seconds):
            arrays = {"body": np.frombuffer(batch.body, np.uint8)}
            await process.tell_soon(Message(head | {"ask": batch.ask}, arrays), left)
            while True:
                message, taken = await _receive(process, left)
                left -= taken
                if counts := _read_counts(message, batch):
                    batch.counter.add(counts)
                if "failure" in message.head:
                    raise read_failure(message.head["failure"])
                if "done" in message.head:
                    return
                if "read_as" in message.head:
                    most = batch.settings.max_batch_rows
                    batch.headers.update(write_headers(message, batch.model, most))
                yield _read_piece(message)


def _make_head(batch: Batch) -> dict[str, Any]:
    """What its process is told of the table."""
    return {
        "sent": batch.sent,
        "wanted": batch.wanted,
        "rows": batch.settings.max_batch_rows,
        "bytes": batch.settings.max_body_bytes,
        "sheet": batch.sheet,
    }


@contextmanager
def _answering(seconds: float) -> Iterator[None]:
    """Raises ModelWorkerEnded if the process took longer, or did not say what it should."""
    try:
        yield
    except TimeoutError:
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
    message = await process.receive_soon(left, PIECE_ROOM)
    return message, monotonic() - began


def _read_piece(message: Message) -> memoryview:
    """Raises what Python does if it is not some bytes in a row, whose length is their number."""
    piece = message.arrays["piece"].astype(np.uint8, casting="no", copy=False)
    if piece.ndim != 1 or not piece.size:
        raise ValueError("its answer is not bytes.")
    return piece.data


def _read_counts(message: Message, batch: Batch) -> TableCounts | None:
    """Raises what Python does if they are not those of such a model."""
    head, arrays = message
    if "rows" not in head:
        return None
    features, classes, probabilities = (arrays[name] for name in COUNTED)
    counts = TableCounts(int(head["rows"]), features, classes, probabilities, float(head["total"]))
    if not 0 <= counts.rows <= batch.settings.max_batch_rows:
        raise ValueError("its rows are not those of a table.")
    for found, empty in zip(counts[1:4], batch.model.empty_counts[1:4], strict=True):
        if found.shape != empty.shape or found.dtype != empty.dtype:
            raise ValueError("its counts are wrong.")
        if ((found < 0) | (found > counts.rows)).any():
            raise ValueError("its counts are not of these rows.")
    # A total that is not a number would stay in all sums to come.
    if not 0 <= counts.total <= counts.classes.sum() * (1 + ROUNDED):
        raise ValueError("its sums are wrong.")
    return counts
