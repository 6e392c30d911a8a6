"""Turns the tensors of a request into arrays, and arrays into bytes."""

from itertools import chain
from math import prod
from typing import Any

import numpy as np

from errors import InvalidTensors, shorten
from features.binning import Array
from open_inference.protocol import DATATYPES, RequestInput

TEXT = "BYTES"
_TYPES = ("?", "<i1", "<i2", "<i4", "<i8", "<u1", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8")
_NUMBERS = dict(zip(DATATYPES, map(np.dtype, _TYPES), strict=False))  # all but text
_JSON_KINDS: dict[str, tuple[set[type], str]] = {
    "b": ({bool}, "true, false"),
    "f": ({int, float}, "numbers"),
}
_LENGTH_BYTES = 4  # of the length that stands before each text


def read_tensor(tensor: RequestInput, binary: bytes | None) -> Array:
    """Doubles or, of BYTES, objects: text; what is missing is nan, or None among text.

    `binary` is what came for the tensor after the JSON. Raises InvalidTensors.
    """
    if tensor.datatype not in DATATYPES:
        message = f"has the unknown datatype {shorten(tensor.datatype)}"
        raise InvalidTensors(f"{_call(tensor)} {message}. Use {', '.join(DATATYPES)}.")
    if (binary is None) == (tensor.data is None):
        message = "needs either data or binary_data_size with binary data after the JSON"
        raise InvalidTensors(f"{_call(tensor)} {message}.")
    values = _read_values(tensor) if binary is None else _read_binary(tensor, binary)
    return values.reshape(tensor.shape)


def name_datatype(output: Array) -> str:
    return {"i": "INT64", "f": "FP64", "O": TEXT}[output.dtype.kind]


def write_text(texts: list[str]) -> bytes:
    """Each text after its length."""
    encoded = [text.encode() for text in texts]
    return b"".join(len(text).to_bytes(_LENGTH_BYTES, "little") + text for text in encoded)


def _read_values(tensor: RequestInput) -> Array:
    values = _flatten(tensor)
    kinds = set(map(type, values))
    if tensor.datatype == TEXT:
        _require(kinds <= {str, type(None)}, tensor, "must hold text or null")
        return np.array(values, dtype=object)
    dtype = _NUMBERS[tensor.datatype]
    allowed, named = _JSON_KINDS.get(dtype.kind, ({int}, "whole numbers"))
    _require(kinds <= {*allowed, type(None)}, tensor, f"must hold {named} or null")
    return _to_doubles(values, tensor)


def _to_doubles(values: list[Any], tensor: RequestInput) -> Array:
    """By way of the datatype, so that JSON means what the same tensor in binary would."""
    dtype, missing = _NUMBERS[tensor.datatype], np.zeros(len(values), dtype=bool)
    if None in values and dtype.kind != "f":
        missing = np.array([value is None for value in values])
        values = [0 if value is None else value for value in values]
    try:
        with np.errstate(over="ignore"):  # an infinity, which no feature takes
            numbers = np.array(values, dtype=dtype).astype(np.float64)
    except OverflowError:
        raise InvalidTensors(f"{_call(tensor)} has a number beyond {tensor.datatype}.") from None
    numbers[missing] = np.nan
    return numbers


def _flatten(tensor: RequestInput) -> list[Any]:
    """The values row after row, whether they came nested or flat."""
    values, shape = tensor.data or [], tensor.shape
    if any(isinstance(value, list) for value in values):
        _require(len(values) == shape[0], tensor, f"has {len(values)} rows of data")
        for size in shape[1:]:
            fits = all(isinstance(row, list) and len(row) == size for row in values)
            _require(fits, tensor, f"has a row of data without {size} values")
            values = list(chain.from_iterable(values))
    _require(len(values) == prod(shape), tensor, f"has {len(values)} values")
    return values


def _read_binary(tensor: RequestInput, binary: bytes) -> Array:
    if tensor.datatype == TEXT:
        texts = _read_texts(tensor, binary)
        _require(len(texts) == prod(tensor.shape), tensor, f"has {len(texts)} texts")
        return np.array(texts, dtype=object)
    dtype = _NUMBERS[tensor.datatype]
    needed = prod(tensor.shape) * dtype.itemsize
    _require(len(binary) == needed, tensor, f"has {len(binary)} bytes, not {needed},")
    if dtype.kind == "b":
        numbers = np.frombuffer(binary, dtype=np.uint8)
        _require(bool((numbers <= 1).all()), tensor, "must hold bytes 0 and 1")
        return numbers.astype(np.float64)
    return np.frombuffer(binary, dtype=dtype).astype(np.float64)


def _read_texts(tensor: RequestInput, binary: bytes) -> list[str]:
    texts, start = [], 0
    try:
        while start < len(binary):
            text = start + _LENGTH_BYTES
            start = text + int.from_bytes(binary[start:text], "little")
            texts.append(binary[text:start].decode())
    except UnicodeDecodeError:
        raise InvalidTensors(f"{_call(tensor)} must hold text in UTF-8.") from None
    _require(start == len(binary), tensor, "ends within a text")
    return texts


def _require(holds: bool, tensor: RequestInput, otherwise: str) -> None:
    if not holds:
        message = f"{_call(tensor)} {otherwise}; its shape is {tensor.shape}"
        raise InvalidTensors(f"{message} and its datatype {tensor.datatype}.")


def _call(tensor: RequestInput) -> str:
    return f"Input {shorten(tensor.name)}"
