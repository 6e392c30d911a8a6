"""Replies to what a process is asked about tables and files, with one message or several."""

import socket
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv
from pydantic_core import to_json

from errors import ModelServerError
from features.counts import COUNTED
from schemas import Value
from worker.assembly import invent
from worker.exchange import Array, Message, Piece
from worker.media import Format
from worker.opened_model import OpenedModel
from worker.tables.answers import Answers
from worker.tables.binary_tables import count_groups, open_file
from worker.tables.bodies import score
from worker.tables.files import Part
from worker.tables.opening import TableBody
from worker.tables.previews import show
from worker.tables.remote import open_remote
from worker.tables.table import Limits
from worker.tables.writers import Pieces, join_parquet

PIECE_BYTES = 131_072
UNPACKED = 64  # times MAX_BODY_BYTES


def answer_table(model: OpenedModel, message: Message, _: socket.socket) -> Iterator[Message]:
    """Its pieces, each with what it adds to the counts; the first tells of the whole table."""
    answers = Answers(model)
    pieces = _gather(score(_take_body(message), answers))
    told: dict[str, Any] = {"read_as": answers.read_as, "renamed": answers.renamed}
    arrays = {"warnings": answers.warnings}
    for piece in pieces:
        arrays["piece"] = _to_array(piece)
        if counts := answers.take_counts():
            told |= {"rows": counts.rows, "total": counts.total}
            arrays |= {name: getattr(counts, name) for name in COUNTED}
        yield Message(told, arrays)
        told, arrays = {}, {}
    yield Message({"done": True})


def preview(model: OpenedModel, message: Message, _: socket.socket) -> Iterator[Message]:
    """JSON of how a table is read, and its first rows."""
    yield Message({}, {"piece": _to_array(show(_take_body(message), model))})
    yield Message({"done": True})


def _take_body(message: Message) -> TableBody:
    # Unlike the others it takes no more address space than it needs, which is what is limited.
    pa.set_memory_pool(pa.system_memory_pool())
    head, content = message.head, message.arrays["body"].data
    limits = Limits(head["rows"], UNPACKED * head["bytes"])
    return TableBody(content, Format(head["sent"]), Format(head["wanted"]), limits, head["sheet"])


def rehearse(model: OpenedModel, message: Message, _: socket.socket) -> Iterable[Message]:
    """Answer a row for nobody, so that a table finds in memory what it needs."""
    pa.set_memory_pool(pa.system_memory_pool())
    sent, wanted = Format(message.head["sent"]), Format(message.head["wanted"])
    if sent is Format.XLSX:  # which nothing here writes
        sent = Format.CSV
    content = _write_row(invent(model.description).inputs, sent)
    body = TableBody(content, sent, wanted, Limits(1, UNPACKED * len(content)))
    with suppress(ModelServerError):
        deque(score(body, Answers(model)), maxlen=0)
    return ()


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


def look(model: OpenedModel, message: Message, channel: socket.socket) -> Iterable[Message]:
    """Describe a file, with the rows of its row groups."""
    opener = partial(open_remote, channel, 0, message.head["size"])
    part = Part(model, message, opener)
    is_parquet = message.head["sent"] == Format.PARQUET
    groups = count_groups(open_file(opener)) if is_parquet else [part.count_rows()]
    return [Message({"done": True, "groups": groups, **part.describe()})]


def answer_part(model: OpenedModel, message: Message, channel: socket.socket) -> Iterator[Message]:
    """Its pieces, each with CSV of bad rows."""
    part = Part(model, message, partial(open_remote, channel, 0, message.head["size"]))
    bad = 0
    for piece in chain(_gather(part.write()), [b""]):
        rows, faults = part.take_faults()
        bad += rows
        yield Message({}, {"piece": _to_array(piece), "faults": _to_array(faults)})
    told = {"done": True, "rows": part.rows, "bad": bad}
    yield Message(told, {"warnings": part.answers.warnings})


def join(_: OpenedModel, message: Message, channel: socket.socket) -> Iterator[Message]:
    """One Parquet file of several, piece by piece."""
    sizes = enumerate(message.head["sizes"])
    files = (open_file(partial(open_remote, channel, index, size)) for index, size in sizes)
    for piece in _gather(join_parquet(files)):
        yield Message({}, {"piece": _to_array(piece)})
    yield Message({"done": True})


def _gather(pieces: Pieces) -> Pieces:
    """Small pieces together: each one that is sent has a cost of its own."""
    waiting: list[Piece] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= PIECE_BYTES:
            yield waiting[0] if len(waiting) == 1 else b"".join(waiting)
            waiting, size = [], 0
    if size:
        yield b"".join(waiting)


def _to_array(content: Piece) -> Array:
    return np.frombuffer(content, np.uint8)
