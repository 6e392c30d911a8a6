"""Unpickles models, and nothing that is not on the allow-list."""

import io
import pickle
from functools import cache
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import Any

from joblib.numpy_pickle import NumpyArrayWrapper, NumpyUnpickler

from errors import ModelRefused

# Every pickle since protocol 2 begins with it; no compressed file does.
PROTOCOL = b"\x80"


def unpickle(pickled: bytes) -> Any:
    """Raises ModelRefused before anything that is not on the allow-list is even imported."""
    if not pickled.startswith(PROTOCOL):
        message = "It is no pickle, or a compressed one. Write it with joblib.dump(model, path)."
        raise ModelRefused("pickle", message)
    try:
        return AllowListUnpickler(io.BytesIO(pickled)).load()
    except ModelRefused:
        raise
    except MemoryError as error:
        raise ModelRefused("crash", f"There is not enough memory for it: {error!r}.") from None
    except Exception as error:  # a damaged pickle can raise anything
        message = f"It cannot be unpickled, or is incomplete: {error!r}."
        raise ModelRefused("pickle", message) from None


@cache
def read_allow_list() -> frozenset[tuple[str, str]]:
    """Pairs of module and name; `make allow-list` writes the file."""
    lines = Path(__file__).with_name("allow_list.txt").read_text().splitlines()
    return frozenset((module, name) for module, name in map(str.split, lines))


def _advise(module: str, name: str) -> str:
    """What to do if a ColumnTransformer was told its columns in a way that a list can replace."""
    if module.startswith("pandas."):
        return " Name a transformer's columns in a list of text: list(X.columns), not X.columns."
    if (module, name) in (("numpy", "number"), ("builtins", "object")):
        return f' Name types of columns as text: dtype_include="{name}".'
    return ""


class AllowListUnpickler(NumpyUnpickler):  # type: ignore[misc]
    """Loads what joblib.dump wrote from exactly the allowed names."""

    dispatch = NumpyUnpickler.dispatch.copy()

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__("", file, ensure_native_byte_order=True)

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("numpy.core."):  # its name before NumPy 2
            module = module.replace("numpy.core", "numpy._core", 1)
        if (module, name) not in read_allow_list():
            message = f"It needs {module}.{name}, which is not on the allow-list."
            raise ModelRefused("allow_list", message + _advise(module, name))
        return super().find_class(module, name)

    def load_build(self) -> None:
        # State is for instances: on a class it would change every model that is served.
        if isinstance(self.stack[-2], (type, FunctionType, BuiltinFunctionType)):
            raise ModelRefused("allow_list", "It changes a class.")
        pickle._Unpickler.load_build(self)  # type: ignore[attr-defined]
        wrapper = self.stack[-1]
        if isinstance(wrapper, NumpyArrayWrapper):
            self.stack[-1] = self._read_array(wrapper)

    def _read_array(self, wrapper: NumpyArrayWrapper) -> Any:
        if not wrapper.dtype.hasobject:
            return wrapper.read(self, self.ensure_native_byte_order)
        # An array of objects is a pickle within the pickle; joblib reads it without our rules.
        return AllowListUnpickler(self.file_handle).load()

    dispatch[pickle.BUILD[0]] = load_build
