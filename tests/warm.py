"""Starts Python programs from a process that has imported their libraries.

What starts is a process with its own environment, folder, streams, signals and exit code, and it
is a child of the one that asked, so `subprocess.Popen` waits for it and signals it as usual. Only
its imports are done, which cost seconds of a core each time.
"""

import atexit
import ctypes
import fcntl
import gc
import importlib
import inspect
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
MAX_REQUEST = 1 << 20  # bytes
MAX_DESCRIPTORS = 64

SIGNING = "cryptography.hazmat.primitives.asymmetric.ed25519"
LIBRARIES = {
    "trainer": [
        *("distributed", "matplotlib.figure", "mlflow.data.pandas_dataset", "mlflow.sklearn"),
        *("pandas", "pyarrow.csv", "pyarrow.parquet", "scipy.stats", "skops.io", SIGNING),
        *("sklearn.calibration", "sklearn.compose", "sklearn.datasets", "sklearn.ensemble"),
        *("sklearn.discriminant_analysis", "sklearn.inspection", "sklearn.kernel_approximation"),
        *("sklearn.naive_bayes", "sklearn.neighbors", "sklearn.svm", "charset_normalizer"),
        "mlflow.db",
        "mlflow.store.tracking.sqlalchemy_store",
        "mlflow.store.model_registry.sqlalchemy_store",
    ],
    "backend": [
        *("fastapi", "fastapi_offline", "prometheus_client", "pyarrow.csv"),
        *("pyarrow.parquet", "pydantic_settings", "sqlalchemy", "uvloop", SIGNING),
        *("joblib", "sklearn.calibration", "sklearn.compose", "sklearn.discriminant_analysis"),
        *("sklearn.ensemble", "sklearn.impute", "sklearn.naive_bayes", "sklearn.neighbors"),
        *("sklearn.neural_network", "sklearn.pipeline", "sklearn.svm", "uvicorn.main"),
        "uvicorn.protocols.http.httptools_impl",
    ],
    "page": ["altair", "pandas", "pyarrow", "requests", "streamlit.web.bootstrap"],
}
PROGRAMS = {
    "metrics.py": "trainer",
    "scoring.py": "trainer",
    "databases.py": "trainer",
    "dask": "trainer",
    "uvicorn": "backend",
    "journal.writer": "backend",
    "worker": "backend",
    "streamlit": "page",
}


class Popen(subprocess.Popen[Any]):
    """Starts a program of PROGRAMS warm on Linux, and any other as `subprocess.Popen` does."""

    def _execute_child(self, *values: Any) -> None:
        start = super()._execute_child  # type: ignore[misc]
        given = inspect.signature(start).bind(*values).arguments
        kind = _find_kind(given["args"])
        if kind is None or given["preexec_fn"]:
            return start(*values)
        streams = (given["p2cread"], given["c2pwrite"], given["errwrite"])
        request = {
            "arguments": _drop_interpreter(given["args"]),
            "folder": str(given["cwd"] or Path.cwd()),
            "environment": dict(os.environ if given["env"] is None else given["env"]),
            "new_session": given["start_new_session"],
            "kept": given["pass_fds"],
        }
        sent = [own if theirs == -1 else theirs for own, theirs in enumerate(streams)]
        self.pid = _start_nursery(kind).start(request, [*sent, *given["pass_fds"]])
        self._child_created = True
        ends = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        return self._close_pipe_fds(*(given[end] for end in ends))  # type: ignore[attr-defined]


class ForkedWorker(subprocess.Popen[Any]):
    """In a backend that was started warm, forks what starts its model workers from itself."""

    def _execute_child(self, *values: Any) -> None:
        start = super()._execute_child  # type: ignore[misc]
        given = inspect.signature(start).bind(*values).arguments
        if _drop_interpreter(given["args"])[:2] != ["-m", "worker"]:
            return start(*values)
        [kept] = given["pass_fds"]
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(given["p2cread"], 0)
            os.closerange(3, kept)
            os.closerange(kept + 1, MAX_DESCRIPTORS)
            os.chdir(given["cwd"])
            os.environ.clear()
            os.environ.update(given["env"])
            try:
                _run(_drop_interpreter(given["args"]))
            finally:
                os._exit(0)
        self._child_created = True
        ends = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        return self._close_pipe_fds(*(given[end] for end in ends))  # type: ignore[attr-defined]


def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` with its output captured as text; raises TimeoutExpired."""
    timeout = options.pop("timeout", None)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with Popen(command, **pipes | options) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _find_kind(command: Any) -> str | None:
    """The program's kind of libraries, or None if it has to start cold."""
    if sys.platform != "linux" or isinstance(command, (str, bytes, os.PathLike)):
        return None
    words = _drop_interpreter(command)
    program = words[1] if words[0] == "-m" else Path(words[0]).name
    return PROGRAMS.get(program)


def _drop_interpreter(command: Any) -> list[str]:
    words = list(map(str, command))
    return words[1:] if words[0] == sys.executable else words


class Nursery:
    """A process that has imported libraries and forks what is asked of it."""

    def __init__(self, kind: str) -> None:
        self._asking = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, __file__, kind, str(theirs.fileno())]
        variables = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
        variables.pop("PYTHONDONTWRITEBYTECODE", None)  # imports would take three times as long
        with theirs:
            self._process = subprocess.Popen(command, env=variables, pass_fds=[theirs.fileno()])
        atexit.register(self._close)

    def start(self, request: dict[str, Any], descriptors: list[int]) -> int:
        """The process id of a child of this process."""
        with self._asking, _reaping_descendants():
            content = json.dumps(request).encode()
            socket.send_fds(self._socket, [content], descriptors)
            return int(self._socket.recv(MAX_REQUEST))

    def _close(self) -> None:
        """Its end of the socket ends the process, too."""
        self._socket.close()
        self._process.wait()


@cache
def _start_nursery(kind: str) -> Nursery:
    return Nursery(kind)


@contextmanager
def _reaping_descendants() -> Iterator[None]:
    """A descendant whose parent ends meanwhile becomes a child of this process."""
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _serve(asked: socket.socket) -> dict[str, Any]:
    """Return in each new process, with what it is to run; the nursery ends with its socket."""
    while True:
        content, descriptors, _, _ = socket.recv_fds(asked, MAX_REQUEST, MAX_DESCRIPTORS)
        if not content:
            sys.exit()
        request: dict[str, Any] = json.loads(content)
        reading, writing = os.pipe()
        if (between := os.fork()) == 0:
            # Its end makes the new process a child of the one that asked.
            if child := os.fork():
                os.write(writing, str(child).encode())
                os._exit(0)
            asked.close()
            for end in (reading, writing):
                os.close(end)
            _take(descriptors, [0, 1, 2, *request["kept"]])
            return request
        os.waitpid(between, 0)
        asked.send(os.read(reading, 32))
        for descriptor in (reading, writing, *descriptors):
            os.close(descriptor)


def _take(descriptors: list[int], places: list[int]) -> None:
    """Move descriptors to their places, above all of which they go first."""
    above = [fcntl.fcntl(it, fcntl.F_DUPFD, max(places) + 1) for it in descriptors]
    for descriptor in descriptors:
        os.close(descriptor)
    for descriptor, place in zip(above, places, strict=True):
        os.dup2(descriptor, place)
        os.close(descriptor)


def _become(request: dict[str, Any]) -> None:
    """Take over what a new interpreter would be started with, then run the program."""
    if request["new_session"]:
        os.setsid()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.modules["numpy"].random.seed()  # or all children would draw the same numbers
    _run(request["arguments"])


def _run(arguments: list[str]) -> None:
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    if arguments[0] == "-m":
        if arguments[1] in ("uvicorn", "journal.writer"):
            subprocess.Popen = ForkedWorker  # type: ignore[misc]
        sys.argv = arguments[1:]
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    sys.path.pop(0)  # the tests' modules are not the programs'
    for library in LIBRARIES[sys.argv[1]]:
        importlib.import_module(library)
    if requirements := sys.modules.get("mlflow.utils.requirements_utils"):
        # MLflow looks for a second at all that is installed, once in each process.
        requirements._init_packages_to_modules_map()
    gc.freeze()
    _become(_serve(socket.socket(fileno=int(sys.argv[2]))))
