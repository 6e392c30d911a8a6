"""Answers a table that came in one message, or a part of a file, piece by piece."""

import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv
from pydantic_core import to_json

from errors import ModelServerError
from features.counts import TableCounts
from schemas import Value
from worker.assembly import invent
from worker.estimator import Estimator
from worker.exchange import Array, Message, lay_out, pack, send
from worker.failures import write_failure
from worker.media import Format
from worker.tables.answers import Answers
from worker.tables.columnar import count_groups, open_file
from worker.tables.files import Part, open_remote
from worker.tables.scoring import Job, score
from worker.tables.tables import Limits
from worker.tables.writers import Pieces, join_parquet

PIECE_BYTES = 131_072
UNPACKED = 64  # times MAX_BODY_BYTES


def answer_table(channel: socket.socket, model: Estimator, message: Message) -> None:
    """Send its pieces, each with what it adds to the counts; then why there are no more."""
    # Unlike the others it takes no more address space than it needs, which is what is limited.
    pa.set_memory_pool(pa.system_memory_pool())
    head, arrays = message
    answers = Answers(model)
    limits = Limits(head["rows"], UNPACKED * head["bytes"])
    job = Job(answers, Format(head["sent"]), Format(head["wanted"]), limits)
    with _telling(channel):
        for piece in _gather(score(arrays["body"].data, job)):
            send(channel, *lay_out(*_describe(answers.take_counts(), piece)))
        send(channel, pack({"done": True}))


def rehearse(_: socket.socket, model: Estimator, message: Message) -> None:
    """Answer a row for nobody, so that a table finds in memory what it needs."""
    pa.set_memory_pool(pa.system_memory_pool())
    sent, wanted = Format(message.head["sent"]), Format(message.head["wanted"])
    body = _write_row(invent(model.description).inputs, sent)
    job = Job(Answers(model), sent, wanted, Limits(1, UNPACKED * len(body)))
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


def _describe(counts: TableCounts | None, piece: bytes | memoryview) -> Message:
    described = Message({}, {"piece": _to_array(piece)})
    if counts:
        described.head.update(rows=counts.rows, total=counts.total)
        names = ("features", "classes", "probabilities")
        described.arrays.update({it: getattr(counts, it) for it in names})
    return described


def look(channel: socket.socket, model: Estimator, message: Message) -> None:
    """Send the columns of a file and the rows of its row groups, or why it cannot be scored."""
    with _telling(channel):
        source = partial(open_remote, channel, 0, message.head["size"])
        part = Part(model, message, source)
        is_parquet = message.head["sent"] == Format.PARQUET
        groups = count_groups(open_file(source)) if is_parquet else []
        columns = str(part.schema.remove_metadata())
        send(channel, pack({"done": True, "columns": columns, "groups": groups}))


def answer_part(channel: socket.socket, model: Estimator, message: Message) -> None:
    """Send it piece by piece, each with CSV of bad rows."""
    with _telling(channel):
        part = Part(model, message, partial(open_remote, channel, 0, message.head["size"]))
        bad = 0
        for piece in chain(_gather(part.write()), [b""]):
            rows, faults = part.take_faults()
            bad += rows
            arrays = {"piece": _to_array(piece), "faults": _to_array(faults)}
            send(channel, *lay_out({}, arrays))
        send(channel, pack({"done": True, "rows": part.rows, "bad": bad}))


def join(channel: socket.socket, _: Estimator, message: Message) -> None:
    """Send one Parquet file of several."""
    with _telling(channel):
        sizes = message.head["sizes"]
        files = (open_file(partial(open_remote, channel, *it)) for it in enumerate(sizes))
        for piece in _gather(join_parquet(files)):
            send(channel, *lay_out({}, {"piece": _to_array(piece)}))
        send(channel, pack({"done": True}))


def _gather(pieces: Pieces) -> Pieces:
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


def _to_array(content: bytes | memoryview) -> Array:
    return np.frombuffer(content, np.uint8)


@contextmanager
def _telling(channel: socket.socket) -> Iterator[None]:
    """Send what stops it."""
    try:
        yield
    except (ModelServerError, MemoryError) as error:
        send(channel, pack({"failure": write_failure(error)}))
