"""A corpus of hostile files: each is refused, and nothing that it asks for happens."""

import copyreg
import io
import os
import pickle
from contextlib import suppress
from importlib import import_module
from types import ModuleType

import joblib
import numpy as np
import pytest
from conftest import fit
from joblib.numpy_pickle import NumpyArrayWrapper
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from errors import ModelRefused
from unpickling import read_allow_list, unpickle

SENTINEL = "sentinel"
COMMAND = f"touch {SENTINEL}"
CODE = f"open({SENTINEL!r}, 'w')"


class Reduce:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def called(module, name, *arguments):
    """A pickle that calls a function by any name, importable here or not."""
    body = b"".join(pickle.dumps(it, 2)[2:-1] for it in arguments)
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(" + body + b"tR."


def dumped(value):
    content = io.BytesIO()
    joblib.dump(value, content)
    return content.getvalue()


def by_stack_global(module, name, argument):
    strings = [b"\x8c" + bytes([len(it)]) + it.encode() for it in (module, name, argument)]
    return b"\x80\x04" + strings[0] + strings[1] + b"\x93" + strings[2] + b"\x85R."


def compressed():
    content = io.BytesIO()
    joblib.dump(fit(), content, compress=3)
    return content.getvalue()


def claiming(shape):
    """An array that says it is larger than the file."""
    wrapper = NumpyArrayWrapper(np.ndarray, shape, "C", np.dtype("float64"))
    return pickle.dumps(wrapper)[:-1] + b"."


def changing_a_class():
    state = pickle.dumps((None, {"read": 1}), 2)[2:-1]
    return b"\x80\x02cjoblib.numpy_pickle\nNumpyArrayWrapper\n" + state + b"b."


def nested(inner):
    """A pickle within an array of objects, which joblib reads with an unpickler of its own."""
    wrapper = NumpyArrayWrapper(np.ndarray, (1,), "C", np.dtype(object))
    return pickle.dumps(wrapper)[:-1] + inner + b"."


def import_of(module, name):
    """None where these versions of the libraries have no such name."""
    with suppress(ImportError):
        return getattr(import_module(module), name, None)


HOSTILE = {
    "os.system": dumped(Reduce(os.system, COMMAND)),
    "posix.system": called("posix", "system", COMMAND),
    "nt.system": called("nt", "system", COMMAND),
    "eval": dumped(Reduce(eval, CODE)),
    "exec": dumped(Reduce(exec, CODE)),
    "open": dumped(Reduce(open, SENTINEL, "w")),
    "io.open": called("io", "open", SENTINEL, "w"),
    "getattr": called("builtins", "getattr", "", "join"),
    "__import__": called("builtins", "__import__", "antigravity"),
    "__builtin__ of Python 2": called("__builtin__", "eval", CODE),
    "importlib": called("importlib", "import_module", "antigravity"),
    "subprocess.Popen": called("subprocess", "Popen", COMMAND),
    "subprocess.check_output": called("subprocess", "check_output", ["touch", SENTINEL]),
    "runpy": called("runpy", "run_path", SENTINEL),
    "pty.spawn": called("pty", "spawn", ["touch", SENTINEL]),
    "ctypes": called("ctypes", "CDLL", "libc.so.6"),
    "socket": called("socket", "create_connection", ["127.0.0.1", 9]),
    "shutil.rmtree": called("shutil", "rmtree", "/nowhere"),
    "types.CodeType": called("types", "CodeType"),
    "marshal": called("marshal", "loads", b""),
    "pickle.loads": called("pickle", "loads", dumped(Reduce(os.system, COMMAND))),
    "joblib.load": called("joblib", "load", SENTINEL),
    "joblib.numpy_pickle.load": called("joblib.numpy_pickle", "load", SENTINEL),
    "numpy.load": called("numpy", "load", SENTINEL),
    "numpy.memmap": called("numpy", "memmap", SENTINEL),
    "numpy.testing.runstring": called("numpy.testing", "runstring", CODE, {}),
    "numpy.testing, where it lives": called("numpy.testing._private.utils", "runstring", CODE, {}),
    "numpy.f2py": called("numpy.f2py.capi_maps", "load_f2cmap_file", SENTINEL),
    "a module inside scipy": called("scipy._lib._util", "os"),
    "operator.methodcaller": called("operator", "methodcaller", "system", COMMAND),
    "operator.attrgetter": called("operator", "attrgetter", "system"),
    "functools.partial": called("functools", "partial", len),
    "functools.reduce": called("functools", "reduce", len, []),
    "a dotted name": by_stack_global("joblib.numpy_pickle", "os.system", COMMAND),
    "a dotted name of an allowed one": by_stack_global(
        "joblib.numpy_pickle", "NumpyArrayWrapper.__init__.__globals__", COMMAND
    ),
    "inside an array": dumped(np.array([Reduce(os.system, COMMAND)], dtype=object)),
    "inside an array of objects, by hand": nested(called("os", "system", COMMAND)),
    "a class changed inside an array of objects": nested(changing_a_class()),
    "inside a pipeline": dumped(Pipeline([("scale", Reduce(os.system, COMMAND))])),
    "as a parameter": dumped(StandardScaler(with_mean=Reduce(os.system, COMMAND))),
    "FunctionTransformer": dumped(FunctionTransformer(os.system)),
    "FunctionTransformer of nothing": dumped(FunctionTransformer()),
    "a changed class": changing_a_class(),
    "an extension code": b"\x80\x02\x82\xf0" + b"X\x0e\x00\x00\x00touch sentinel\x85R.",
    "a persistent id": b"\x80\x02Pos.system\n.",
    "a terabyte of array": claiming((10**12,)),
    "more than memory has addresses": claiming((2**40, 2**40)),
    "a negative shape": claiming((-1,)),
    "a terabyte of bytes": b"\x80\x04\x8e" + (10**12).to_bytes(8, "little") + b"x.",
    "a terabyte of bytearray": b"\x80\x05\x96" + (10**12).to_bytes(8, "little") + b"x.",
    "deep nesting": b"\x80\x02" + b"]" * 1_000_000 + b"a" * 999_999 + b".",
    "an empty stack": b"\x80\x02.",
    "no end": dumped(fit())[:-1],
    "half": dumped(fit())[:500],
    "compressed": compressed(),
    "protocol 0": pickle.dumps(StandardScaler(), 0),
    "nothing": b"",
}


@pytest.fixture(scope="module", autouse=True)
def extension_code():
    copyreg.add_extension("os", "system", 0xF0)
    yield
    copyreg.remove_extension("os", "system", 0xF0)


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "deep nesting"])
def test_a_hostile_file_is_refused_without_effect(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ModelRefused):
        unpickle(HOSTILE[name])

    assert list(tmp_path.iterdir()) == []
    assert NumpyArrayWrapper.read != 1


def test_deep_nesting_is_only_a_list():
    assert isinstance(unpickle(HOSTILE["deep nesting"]), list)


def test_a_refusal_names_what_is_not_allowed():
    with pytest.raises(
        ModelRefused, match=r"It needs posix\.system, which is not on the allow-list"
    ):
        unpickle(HOSTILE["posix.system"])


def test_a_pipeline_comes_back_as_it_was():
    X = np.random.default_rng(0).random((5, 4))

    loaded = unpickle(dumped(fit()))

    np.testing.assert_array_equal(loaded.predict_proba(X), fit().predict_proba(X))


def test_a_pickle_of_numpy_1_finds_the_new_names():
    old = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n."

    assert unpickle(old) is np._core.multiarray._reconstruct


def test_nothing_on_the_list_is_a_module_or_a_dotted_name():
    assert not [name for _, name in read_allow_list() if "." in name]
    assert not [pair for pair in read_allow_list() if isinstance(import_of(*pair), ModuleType)]
    assert {name for module, name in read_allow_list() if module == "builtins"} == {"slice"}
