"""Plain data between the server and its workers: JSON, arrays of numbers, and never a pickle."""

import asyncio
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from time import monotonic
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field
from pydantic_core import to_json

Array = npt.NDArray[Any]
Piece = bytes | memoryview

MOST_BYTES = 2 * 1024**3  # in a message
JOINED_BYTES = 65_536  # of a message that is sent in one go, as each call has a cost of its own

_SIZE = struct.Struct("<Q")


class ExchangeError(Exception):
    """The other side has gone, or sent what is not a message."""


# Bounded, or multiplying what is said of lengths would take minutes.
_Shape = Annotated[list[Annotated[int, Field(ge=0, le=MOST_BYTES)]], Field(max_length=2)]


class _Text(BaseModel, strict=True):
    """The beginning of a message; its arrays are little-endian."""

    head: dict[str, Any]
    arrays: dict[str, tuple[Literal["<f8", "<i8", "<i4", "|u1", "|b1"], _Shape]]


class Room(NamedTuple):
    """Bytes that a message may have, and its text, which takes 20 times as many once it is read."""

    message: int
    text: int


ROOM = Room(MOST_BYTES, MOST_BYTES)
# The server takes less of a process that it does not trust.
ANSWER_ROOM = Room(256 * 1024**2, 2 * 1024**2)


class Message(NamedTuple):
    """A JSON object, with named arrays beside it."""

    head: dict[str, Any]
    arrays: dict[str, Array] = {}  # noqa: RUF012  never changed


def pack(head: Mapping[str, Any], arrays: Mapping[str, Array] | None = None) -> list[Piece]:
    """A message piece by piece, the same wherever it is made; the arrays are not copied."""
    arrays = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    described = {name: (array.dtype.str, array.shape) for name, array in arrays.items()}
    text = to_json({"head": head, "arrays": described}, inf_nan_mode="constants")
    contents = (array.reshape(-1).view(np.uint8).data for array in arrays.values())
    return [_SIZE.pack(len(text)), text, *contents]


def unpack(packed: Piece, room: Room = ROOM) -> Message:
    """Raises ExchangeError unless it is exactly what `pack` writes."""
    try:
        [size] = _SIZE.unpack_from(packed)
        if size > room.text:
            raise ValueError(f"its text has {size} bytes")
        start = _SIZE.size + size
        text = _Text.model_validate_json(bytes(packed[_SIZE.size : start]))
        arrays = {}
        for name, (dtype, shape) in text.arrays.items():
            count = prod(shape)
            array = np.frombuffer(packed, dtype, count, start) if count else np.zeros(0, dtype)
            arrays[name] = array.reshape(shape)
            start += array.nbytes
        if start != len(packed):
            raise ValueError("its sizes do not fit")
    except (ArithmeticError, ValueError, struct.error) as error:
        raise ExchangeError(f"It is not a message: {type(error).__name__}.") from None
    return Message(text.head, arrays)


def send(
    channel: socket.socket, head: Mapping[str, Any], arrays: Mapping[str, Array] | None = None
) -> None:
    """Raises ExchangeError if the other side has gone, TimeoutError if it hangs."""
    with _still_there():
        for piece in _frame(pack(head, arrays)):
            channel.sendall(piece)


async def send_soon(
    channel: socket.socket, head: Mapping[str, Any], arrays: Mapping[str, Array]
) -> None:
    """As `send`, on an event loop, whose caller sees to the time."""
    loop = asyncio.get_running_loop()
    channel.setblocking(False)
    with _still_there():
        for piece in _frame(pack(head, arrays)):
            await loop.sock_sendall(channel, piece)


def _frame(pieces: list[Piece]) -> list[Piece]:
    size = sum(map(len, pieces))
    whole = [_SIZE.pack(size), *pieces]
    return whole if size > JOINED_BYTES else [b"".join(whole)]


def receive(channel: socket.socket, seconds: float | None = None, room: Room = ROOM) -> Message:
    """The next message; raises ExchangeError if there is none, TimeoutError if it takes longer."""
    deadline = None if seconds is None else monotonic() + seconds
    with _still_there():
        size = _read_size(_receive_exactly(channel, _SIZE.size, deadline), room)
        return unpack(_receive_exactly(channel, size, deadline), room)


def _receive_exactly(channel: socket.socket, size: int, deadline: float | None) -> memoryview:
    taken = np.empty(size, np.uint8).data  # which takes memory as it is filled
    done = 0
    while done < size:
        if deadline is not None:
            if (left := deadline - monotonic()) <= 0:  # also if a byte comes now and then
                raise TimeoutError
            channel.settimeout(left)
        if not (count := channel.recv_into(taken[done:])):
            raise ConnectionResetError
        done += count
    return taken


async def receive_soon(channel: socket.socket, room: Room) -> Message:
    """As `receive`, on an event loop, whose caller sees to the time."""
    channel.setblocking(False)
    with _still_there():
        size = _read_size(await _receive_exactly_soon(channel, _SIZE.size), room)
        return unpack(await _receive_exactly_soon(channel, size), room)


async def _receive_exactly_soon(channel: socket.socket, size: int) -> memoryview:
    loop = asyncio.get_running_loop()
    taken = np.empty(size, np.uint8).data
    done = 0
    while done < size:
        try:
            count = channel.recv_into(taken[done:])  # the loop would first look at all others
        except BlockingIOError:
            count = await loop.sock_recv_into(channel, taken[done:])
        if not count:
            raise ConnectionResetError
        done += count
        if done < size:
            await asyncio.sleep(0)  # others come first, also if there is always more to read
    return taken


@contextmanager
def _still_there() -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise
    except OSError as error:
        raise ExchangeError(f"The other side has gone: {error!r}.") from None


def _read_size(taken: memoryview, room: Room) -> int:
    [size] = _SIZE.unpack_from(taken)
    if size > room.message:
        raise ExchangeError(f"A message of {size} bytes is not taken.")
    return int(size)
