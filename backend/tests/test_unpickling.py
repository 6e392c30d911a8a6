"""A corpus of hostile files: each is refused, and nothing that it asks for happens."""

import copyreg
import os
import pickle
from contextlib import suppress
from importlib import import_module
from types import ModuleType

import numpy as np
import pytest
from conftest import fit, pickled
from joblib.numpy_pickle import NumpyArrayWrapper
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from errors import ModelRefused
from worker.unpickling import read_allow_list, unpickle

SENTINEL = "sentinel"
COMMAND = f"touch {SENTINEL}"
CODE = f"open({SENTINEL!r}, 'w')"


class Reduce:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def called(name, argument):
    """A pickle that calls a function by any name, importable here or not."""
    module, _, function = name.rpartition(".")
    name = f"{module}\n{function}\n".encode()
    return b"\x80\x02c" + name + pickle.dumps(argument, 2)[2:-1] + b"\x85R."


def by_stack_global(module, name):
    strings = [b"\x8c" + bytes([len(it)]) + it.encode() for it in (module, name, COMMAND)]
    return b"\x80\x04" + strings[0] + strings[1] + b"\x93" + strings[2] + b"\x85R."


def claiming(shape, dtype="float64"):
    """An array that says it is larger than the file."""
    return pickle.dumps(NumpyArrayWrapper(np.ndarray, shape, "C", np.dtype(dtype)))


def changing_a_class():
    state = pickle.dumps((None, {"read": 1}), 2)[2:-1]
    return b"\x80\x02cjoblib.numpy_pickle\nNumpyArrayWrapper\n" + state + b"b."


def nested(inner):
    """A pickle within an array of objects, which joblib reads with an unpickler of its own."""
    return claiming((1,), object)[:-1] + inner + b"."


# What runs Python or a program, opens a file or a socket, or leads to something that does.
FORBIDDEN = """
__builtin__.eval builtins.__import__ builtins.exec builtins.getattr ctypes.CDLL functools.partial
functools.reduce importlib.import_module io.open joblib.load joblib.numpy_pickle.load marshal.loads
nt.system numpy.f2py.capi_maps.load_f2cmap_file numpy.load numpy.memmap
numpy.testing._private.utils.runstring numpy.testing.runstring operator.attrgetter
operator.methodcaller pickle.loads posix.system pty.spawn runpy.run_path scipy._lib._util.os
shutil.rmtree socket.create_connection subprocess.Popen subprocess.check_output types.CodeType
"""
HOSTILE = {
    "os.system": pickled(Reduce(os.system, COMMAND)),
    "eval": pickled(Reduce(eval, CODE)),
    "open": pickled(Reduce(open, SENTINEL, "w")),
    "a dotted name": by_stack_global("joblib.numpy_pickle", "os.system"),
    "a dotted name of an allowed one": by_stack_global(
        "joblib.numpy_pickle", "NumpyArrayWrapper.__init__.__globals__"
    ),
    "inside an array": pickled(np.array([Reduce(os.system, COMMAND)], dtype=object)),
    "inside an array of objects, by hand": nested(called("os.system", COMMAND)),
    "a class changed inside an array of objects": nested(changing_a_class()),
    "inside a pipeline": pickled(Pipeline([("scale", Reduce(os.system, COMMAND))])),
    "as a parameter": pickled(StandardScaler(with_mean=Reduce(os.system, COMMAND))),
    "FunctionTransformer": pickled(FunctionTransformer(os.system)),
    "FunctionTransformer of nothing": pickled(FunctionTransformer()),
    "a changed class": changing_a_class(),
    "an extension code": b"\x80\x02\x82\xf0" + b"X\x0e\x00\x00\x00touch sentinel\x85R.",
    "a persistent id": b"\x80\x02Pos.system\n.",
    "a terabyte of array": claiming((10**12,)),
    "more than memory has addresses": claiming((2**40, 2**40)),
    "a negative shape": claiming((-1,)),
    "a terabyte of bytes": b"\x80\x04\x8e" + (10**12).to_bytes(8, "little") + b"x.",
    "a terabyte of bytearray": b"\x80\x05\x96" + (10**12).to_bytes(8, "little") + b"x.",
    "an empty stack": b"\x80\x02.",
    "no end": pickled(fit())[:-1],
    "half": pickled(fit())[:500],
    "compressed": pickled(fit(), compress=3),
    "protocol 0": pickle.dumps(StandardScaler(), 0),
    "nothing": b"",
}


@pytest.fixture(scope="module", autouse=True)
def extension_code():
    copyreg.add_extension("os", "system", 0xF0)
    yield
    copyreg.remove_extension("os", "system", 0xF0)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_without_effect(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ModelRefused):
        unpickle(HOSTILE[name])

    assert list(tmp_path.iterdir()) == []
    assert NumpyArrayWrapper.read != 1


def test_deep_nesting_is_only_a_list():
    nesting = b"\x80\x02" + b"]" * 1_000_000 + b"a" * 999_999 + b"."

    assert isinstance(unpickle(nesting), list)


@pytest.mark.parametrize("name", FORBIDDEN.split())
def test_what_is_not_on_the_list_is_refused_by_its_name(name):
    with pytest.raises(ModelRefused, match=f"needs {name}, which is not on the allow-list"):
        unpickle(called(name, COMMAND))


def test_a_name_of_numpy_1_is_that_of_numpy_2():
    old = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n."

    assert unpickle(old) is np._core.multiarray._reconstruct


def test_nothing_on_the_list_is_a_module_or_a_dotted_name():
    for module, name in read_allow_list():
        with suppress(ImportError):  # these versions of the libraries may have no such name
            assert not isinstance(getattr(import_module(module), name, None), ModuleType)
    assert not [name for _, name in read_allow_list() if "." in name]
    assert {name for module, name in read_allow_list() if module == "builtins"} == {"slice"}
