"""Answers a table that came in one message with many, which are small."""

import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv
from pydantic_core import to_json

from batch.media import Format
from binning import ModelBins
from counts import TableCounts, count_table
from errors import ModelServerError, TableTooLarge
from schemas import Value
from worker.assembly import invent
from worker.estimator import Estimator
from worker.exchange import Array, Message, lay_out, send
from worker.faults import TOO_LARGE, write_fault
from worker.tables.scoring import Job, score
from worker.tables.tables import Limits
from worker.tables.writers import Pieces

PIECE_BYTES = 131_072
UNPACKED = 64  # times MAX_BODY_BYTES


class Counter:
    """Counts rows between two messages."""

    def __init__(self, model: Estimator) -> None:
        self._bins = ModelBins(model.description.features)
        self._classes = len(model.classes)
        self._sum: TableCounts | None = None

    def add(self, X: Array, indices: Array, probabilities: Array | None) -> None:
        """X of shape (n, f) with its answers, of shapes (n,) and (n, k)."""
        counts = count_table(self._bins, X, indices, probabilities, self._classes)
        self._sum = self._sum.plus(counts) if self._sum else counts

    def take(self) -> TableCounts | None:
        taken, self._sum = self._sum, None
        return taken


def answer_table(channel: socket.socket, model: Estimator, message: Message) -> None:
    """Send its pieces, each with what it adds to the counts; then why there are no more."""
    # Unlike the others it takes no more address space than it needs, which is what is limited.
    pa.set_memory_pool(pa.system_memory_pool())
    head, arrays = message
    counter = Counter(model)
    limits = Limits(head["rows"], UNPACKED * head["bytes"])
    job = Job(model, Format(head["sent"]), Format(head["wanted"]), limits, counter)
    try:
        for piece in gather(score(arrays["body"].data, job)):
            _send(channel, {}, {"piece": np.frombuffer(piece, np.uint8)}, counter)
    except ModelServerError as error:
        _send(channel, {"fault": write_fault(error)}, {}, counter)
    except MemoryError:
        _send(channel, {"fault": write_fault(TableTooLarge(TOO_LARGE))}, {}, counter)
    else:
        _send(channel, {"is_last": True}, {}, counter)


def rehearse(_: socket.socket, model: Estimator, message: Message) -> None:
    """Answer a row for nobody, so that a table finds in memory what it needs."""
    pa.set_memory_pool(pa.system_memory_pool())
    sent, wanted = Format(message.head["sent"]), Format(message.head["wanted"])
    body = _write_row(invent(model.description).inputs, sent)
    job = Job(model, sent, wanted, Limits(1, UNPACKED * len(body)), Counter(model))
    with suppress(ModelServerError):
        deque(score(body, job), maxlen=0)


def _write_row(row: dict[str, Value], sent: Format) -> memoryview:
    if sent is Format.JSON:
        return memoryview(to_json({"instances": [row]}))
    table, sink = pa.Table.from_pylist([row]), pa.BufferOutputStream()
    if sent is Format.CSV:
        csv.write_csv(table, sink)
    elif sent is Format.PARQUET:
        pq.write_table(table, sink)
    else:
        with pa.ipc.new_stream(sink, table.schema) as file:
            file.write_table(table)
    return memoryview(sink.getvalue())


def gather(pieces: Pieces) -> Iterator[bytes | memoryview]:
    """Small pieces together: each one that is sent has a cost of its own."""
    waiting: list[bytes | memoryview] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= PIECE_BYTES:
            yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
            waiting, size = [], 0
    if size:
        yield b"".join(waiting)


def _send(
    channel: socket.socket, head: dict[str, Any], arrays: dict[str, Array], counter: Counter
) -> None:
    if counts := counter.take():
        head |= {"rows": counts.rows, "total": counts.total}
        arrays |= {it: getattr(counts, it) for it in ("features", "classes", "probabilities")}
    send(channel, *lay_out(head, arrays))
