"""Writes headers of what a table's process says of the table, once that has been checked."""

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import numpy as np

from features.answers import name_answers, rename
from features.warnings import REASONS, Warnings, name_warnings
from serving.inference import Model
from worker.exchange import Message
from worker.headers import MOST_READ_AS

MOST_RENAMINGS = 10_000  # more than a table has columns

MOST_JSON = 4000  # bytes of a header
ROOM = 40  # of these for what does not fit
MORE = r'"\u2026"'

PRINTABLE = "".join(map(chr, range(32, 127))).replace("%", "")


def write_headers(message: Message, model: Model, most_rows: int) -> dict[str, str]:
    """Raises what Python does if this is nothing to say of such a table."""
    read_as, times = message.head["read_as"], message.head["renamed"]
    if not isinstance(read_as, str):
        raise ValueError("it does not say how it has read the table.")
    if type(times) is not int or not 0 <= times <= MOST_RENAMINGS:
        raise ValueError("its columns have no names.")
    headers = {"X-Read-As": _quote(read_as)} if read_as else {}
    if warnings := _read_warnings(message, model, most_rows):
        headers["X-Warnings"] = _write_warnings(warnings)
    if times:
        classes = model.classes if model.has_probabilities else []
        headers["X-Answer-Columns"] = _write_names(rename(name_answers(classes), times))
    return headers


def _read_warnings(message: Message, model: Model, most_rows: int) -> Warnings:
    counts = message.arrays["warnings"]
    if counts.shape != (len(model.names), len(REASONS)) or counts.dtype != np.int64:
        raise ValueError("its warnings are wrong.")
    if ((counts < 0) | (counts > most_rows)).any():
        raise ValueError("its warnings are not of a table.")
    return name_warnings(model.names, counts)


def _quote(text: str) -> str:
    """Percent-encode all but printable ASCII, and cut it where that splits no character."""
    quoted = quote(text[:MOST_READ_AS], safe=PRINTABLE, errors="replace")
    if len(quoted) <= MOST_READ_AS:
        return quoted
    return re.sub("(%[0-9A-F]{0,2})+$", "", quoted[:MOST_READ_AS])


def _write_warnings(warnings: Warnings) -> str:
    """All of them, or those with the most rows."""
    pieces = {name: f"{_write(name)}:{_write(found)}" for name, found in warnings.items()}
    kept, are_all = _take_fitting(pieces.values())
    if not are_all:
        largest = sorted(pieces, key=lambda name: max(warnings[name].values()), reverse=True)
        kept, _ = _take_fitting(pieces[name] for name in largest)
        kept.append(f"{MORE}:{len(pieces) - len(kept)}")
    return "{" + ",".join(kept) + "}"


def _write_names(names: Iterable[str]) -> str:
    kept, are_all = _take_fitting(map(_write, names))
    return "[" + ",".join(kept if are_all else [*kept, MORE]) + "]"


def _take_fitting(pieces: Iterable[str]) -> tuple[list[str], bool]:
    """The first that leave room to say that there are more, and whether they are all."""
    taken: list[str] = []
    left = MOST_JSON - ROOM
    for piece in pieces:
        left -= len(piece) + 1
        if left < 0:
            return taken, False
        taken.append(piece)
    return taken, True


def _write(value: Any) -> str:
    """Compact JSON in printable ASCII."""
    return json.dumps(value, separators=(",", ":"))
