"""Plain data between the server and its workers: JSON, arrays of numbers, and never a pickle."""

import socket
import struct
from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic_core import from_json, to_json

Array = npt.NDArray[Any]

# Little-endian doubles, integers, bytes and booleans.
DTYPES = frozenset({"<f8", "<i8", "<i4", "|u1", "|b1"})
MOST_BYTES = 2 * 1024**3  # in a message

_SIZE = struct.Struct("<Q")


class ExchangeError(Exception):
    """The other side has gone, or sent what is not a message."""


class Message(NamedTuple):
    """A JSON object, with named arrays beside it."""

    head: dict[str, Any]
    arrays: dict[str, Array] = {}  # noqa: RUF012  never changed


def pack(head: Mapping[str, Any], arrays: Mapping[str, Array] | None = None) -> bytes:
    """The bytes of a message, which are the same wherever they are made."""
    arrays = {name: np.ascontiguousarray(it) for name, it in (arrays or {}).items()}
    described = {name: (it.dtype.str, it.shape) for name, it in arrays.items()}
    text = to_json({"head": head, "arrays": described}, inf_nan_mode="constants")
    return b"".join([_SIZE.pack(len(text)), text, *(it.tobytes() for it in arrays.values())])


def unpack(packed: bytes) -> Message:
    """Raises ExchangeError unless it is exactly what `pack` writes."""
    try:
        [size] = _SIZE.unpack_from(packed)
        start = _SIZE.size + size
        message = from_json(packed[_SIZE.size : start])
        arrays = {}
        for name, (dtype, shape) in message["arrays"].items():
            arrays[name], start = _read_array(packed, start, dtype, shape)
        if start != len(packed) or type(message["head"]) is not dict:
            raise ValueError("its sizes do not fit")
    except (ValueError, TypeError, KeyError, AttributeError, struct.error) as error:
        raise ExchangeError(f"It is not a message: {error}.") from None
    return Message(message["head"], arrays)


def _read_array(packed: bytes, start: int, dtype: str, shape: list[int]) -> tuple[Array, int]:
    if dtype not in DTYPES or any(type(it) is not int or it < 0 for it in shape):
        raise ValueError(f"{dtype} of shape {shape} is not taken")
    count = prod(shape)
    array = np.frombuffer(packed, dtype, count, start) if count else np.zeros(0, dtype)
    return array.reshape(shape), start + array.nbytes


def send(channel: socket.socket, packed: bytes | memoryview) -> None:
    """One message; raises ExchangeError if the other side has gone, TimeoutError if it hangs."""
    try:
        channel.sendall(_SIZE.pack(len(packed)))
        channel.sendall(packed)
    except TimeoutError:
        raise
    except OSError as error:
        raise ExchangeError(f"Nobody reads it: {error}.") from None


def receive(channel: socket.socket, most: int = MOST_BYTES) -> bytearray:
    """The next message; raises ExchangeError if there is none, TimeoutError if it is late."""
    [size] = _SIZE.unpack(_receive_exactly(channel, _SIZE.size))
    if size > most:
        raise ExchangeError(f"A message of {size} bytes is not taken.")
    return _receive_exactly(channel, size)


def _receive_exactly(channel: socket.socket, size: int) -> bytearray:
    # Grown as it comes: a length alone must not cost memory.
    taken = bytearray()
    while len(taken) < size:
        try:
            piece = channel.recv(min(size - len(taken), 1024**2))
        except TimeoutError:
            raise
        except OSError as error:
            raise ExchangeError(f"The other side has gone: {error}.") from None
        if not piece:
            raise ExchangeError("The other side has gone.")
        taken += piece
    return taken
