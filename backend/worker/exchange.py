"""Plain data between the server and its workers: JSON, arrays of numbers, and never a pickle."""

import asyncio
import socket
import struct
from collections.abc import Mapping
from math import prod
from time import monotonic
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic_core import from_json, to_json

Array = npt.NDArray[Any]
Part = bytes | memoryview

# Little-endian doubles, integers, bytes and booleans.
DTYPES = frozenset({"<f8", "<i8", "<i4", "|u1", "|b1"})
MOST_BYTES = 2 * 1024**3  # in a message
# The server takes less of a process that it does not trust.
MOST_ANSWER = 256 * 1024**2
MOST_TEXT = 2 * 1024**2  # JSON takes 20 times its size once it is read
JOINED_BYTES = 65_536  # of a message that is sent in one go, as each call has a cost of its own

_SIZE = struct.Struct("<Q")


class ExchangeError(Exception):
    """The other side has gone, or sent what is not a message."""


class Message(NamedTuple):
    """A JSON object, with named arrays beside it."""

    head: dict[str, Any]
    arrays: dict[str, Array] = {}  # noqa: RUF012  never changed


def pack(head: Mapping[str, Any], arrays: Mapping[str, Array] | None = None) -> bytes:
    """The bytes of a message, which are the same wherever they are made."""
    return b"".join(lay_out(head, arrays))


def lay_out(head: Mapping[str, Any], arrays: Mapping[str, Array] | None = None) -> list[Part]:
    """The parts that `pack` joins; the arrays are not copied."""
    arrays = {name: np.ascontiguousarray(it) for name, it in (arrays or {}).items()}
    described = {name: (it.dtype.str, it.shape) for name, it in arrays.items()}
    text = to_json({"head": head, "arrays": described}, inf_nan_mode="constants")
    parts = (it.reshape(-1).view(np.uint8).data for it in arrays.values())
    return [_SIZE.pack(len(text)), text, *parts]


def unpack(packed: Part | bytearray, most_text: int = MOST_BYTES) -> Message:
    """Raises ExchangeError unless it is exactly what `pack` writes."""
    try:
        [size] = _SIZE.unpack_from(packed)
        if size > most_text:
            raise ValueError(f"its text has {size} bytes")
        start = _SIZE.size + size
        message = from_json(bytes(packed[_SIZE.size : start]))
        arrays = {}
        for name, (dtype, shape) in message["arrays"].items():
            arrays[name], start = _read_array(packed, start, dtype, shape)
        if start != len(packed) or type(message["head"]) is not dict:
            raise ValueError("its sizes do not fit")
    except (
        ArithmeticError,
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
        struct.error,
    ) as error:
        raise ExchangeError(f"It is not a message: {error}.") from None
    return Message(message["head"], arrays)


def _read_array(
    packed: Part | bytearray, start: int, dtype: str, shape: list[int]
) -> tuple[Array, int]:
    if dtype not in DTYPES or any(type(it) is not int or it < 0 for it in shape):
        raise ValueError(f"{dtype} of shape {shape} is not taken")
    count = prod(shape)
    array = np.frombuffer(packed, dtype, count, start) if count else np.zeros(0, dtype)
    return array.reshape(shape), start + array.nbytes


def send(channel: socket.socket, *parts: Part) -> None:
    """One message; raises ExchangeError if the other side has gone, TimeoutError if it hangs."""
    size = sum(map(len, parts))
    whole = (_SIZE.pack(size), *parts)
    try:
        for part in whole if size > JOINED_BYTES else (b"".join(whole),):
            channel.sendall(part)
    except TimeoutError:
        raise
    except OSError as error:
        raise ExchangeError(f"Nobody reads it: {error}.") from None


def receive(
    channel: socket.socket, deadline: float | None = None, most: int = MOST_BYTES
) -> memoryview:
    """The next message; raises ExchangeError if there is none, TimeoutError at the deadline.

    That is a moment of `time.monotonic`.
    """
    size = _read_size(_receive_exactly(channel, _SIZE.size, deadline), most)
    return _receive_exactly(channel, size, deadline)


def _receive_exactly(channel: socket.socket, size: int, deadline: float | None) -> memoryview:
    taken = np.empty(size, np.uint8).data  # which takes memory as it is filled
    done = 0
    while done < size:
        done += _receive_into(channel, taken[done:], deadline)
    return taken


def _receive_into(channel: socket.socket, room: memoryview, deadline: float | None) -> int:
    if deadline is not None:
        if (left := deadline - monotonic()) <= 0:  # also if a byte comes now and then
            raise TimeoutError
        channel.settimeout(left)
    try:
        if count := channel.recv_into(room):
            return count
    except TimeoutError:
        raise
    except OSError as error:
        raise ExchangeError(f"The other side has gone: {error}.") from None
    raise ExchangeError("The other side has gone.")


async def exchange(channel: socket.socket, packed: bytes, most: int) -> bytearray:
    """Send one message on an event loop, and return the next; raises ExchangeError."""
    loop = asyncio.get_running_loop()
    channel.setblocking(False)
    try:
        await loop.sock_sendall(channel, _SIZE.pack(len(packed)) + packed)
        taken = bytearray()
        while len(taken) < _SIZE.size or len(taken) < _SIZE.size + _read_size(taken, most):
            piece = await loop.sock_recv(channel, 65_536)
            if not piece:
                raise ExchangeError("The other side has gone.")
            taken += piece
    except OSError as error:
        raise ExchangeError(f"The other side has gone: {error}.") from None
    return taken[_SIZE.size :]


def _read_size(taken: bytearray | memoryview, most: int) -> int:
    [size] = _SIZE.unpack_from(taken)
    if size > most:
        raise ExchangeError(f"A message of {size} bytes is not taken.")
    return int(size)
