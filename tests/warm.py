"""Starts Python programs from a process that has imported their libraries.

What starts is a process with its own environment, folder, streams, signals and exit code. Only its
imports are done, which cost seconds of a core each time. `Popen` makes it a child of the caller, so
it is waited for and signalled as usual. Shell scripts find `make_programs` on their PATH: each
program there asks for the process, passes signals on to it and ends as it does.
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
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from multiprocessing import process as multiprocess
from multiprocessing import util
from pathlib import Path
from typing import Any

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
MAX_REQUEST = 1 << 20  # bytes
MAX_DESCRIPTORS = 64
ASKING = threading.Lock()

SIGNING = "cryptography.hazmat.primitives.asymmetric.ed25519"
LIBRARIES = {
    "trainer": [
        *("distributed", "matplotlib.figure", "mlflow.data.pandas_dataset", "mlflow.sklearn"),
        *("pandas", "pyarrow.csv", "pyarrow.parquet", "scipy.stats", "skops.io", SIGNING),
        *("sklearn.calibration", "sklearn.compose", "sklearn.datasets", "sklearn.ensemble"),
        *("sklearn.discriminant_analysis", "sklearn.inspection", "sklearn.kernel_approximation"),
        *("sklearn.naive_bayes", "sklearn.neighbors", "sklearn.svm", "python_calamine"),
        *("mlflow.db", "mlflow.store.tracking.sqlalchemy_store"),
        "mlflow.store.model_registry.sqlalchemy_store",
        # The tracking server; see `_forget_server`.
        *("mlflow.cli", "mlflow.server.fastapi_app", "sqlalchemy.dialects.sqlite"),
        *("uvicorn.main", "uvicorn.protocols.http.httptools_impl", "uvloop"),
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
    "scoring.py": "backend",
    "databases.py": "trainer",
    "dask": "trainer",
    "mlflow": "trainer",
    "serve.py": "backend",
    "uvicorn": "backend",
    "journal.writer": "backend",
    "worker": "backend",
    "streamlit": "page",
}
FORKING = ("serve.py", "uvicorn", "journal.writer", "scoring.py")


class Popen(subprocess.Popen[Any]):
    """Starts a program of PROGRAMS warm on Linux, and any other as `subprocess.Popen` does."""

    def _execute_child(self, *values: Any) -> None:
        start = super()._execute_child  # type: ignore[misc]
        given = inspect.signature(start).bind(*values).arguments
        if not self._fork(given):
            return start(*values)
        self._child_created = True
        ends = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        return self._close_pipe_fds(*(given[end] for end in ends))  # type: ignore[attr-defined]

    def _fork(self, given: dict[str, Any]) -> bool:
        """Whether it is started; `given` are the arguments of `subprocess`."""
        kind = _find_kind(given["args"])
        if kind is None or given["preexec_fn"]:
            return False
        streams = (given["p2cread"], given["c2pwrite"], given["errwrite"])
        request = {
            "arguments": _drop_interpreter(given["args"]),
            "folder": str(given["cwd"] or Path.cwd()),
            "environment": dict(os.environ if given["env"] is None else given["env"]),
            "new_session": given["start_new_session"],
            "kept": given["pass_fds"],
        }
        sent = [own if theirs == -1 else theirs for own, theirs in enumerate(streams)]
        self.pid = _start_child(kind, request, [*sent, *given["pass_fds"]])
        return True


class ForkedWorker(Popen):
    """In a backend that was started warm, forks what starts its model workers from itself."""

    def _fork(self, given: dict[str, Any]) -> bool:
        arguments = _drop_interpreter(given["args"])
        if arguments[:2] != ["-m", "worker"]:
            return False
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
                _run(arguments)
            finally:
                os._exit(0)
        return True


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
    program = words[1] if words[:1] == ["-m"] else Path("".join(words[:1])).name
    return PROGRAMS.get(program)


def _drop_interpreter(command: Any) -> list[str]:
    words = list(map(str, command))
    return words[1:] if words[0] == sys.executable else words


def make_programs(*kinds: str) -> Path:
    """A folder for PATH, where shell scripts find Python and the programs of these kinds."""
    for kind in kinds:
        _start_nursery(kind)
    folder, binaries = _folder() / "bin", Path(sys.executable).parent
    folder.mkdir(exist_ok=True)
    for program in ("python", "python3", "mlflow", "streamlit"):
        real = repr(str(binaries / program))
        if program.startswith("python"):
            real = "sys.executable"
        words = f"{str(_folder())!r}, {real}, *sys.argv[1:]"
        find = f"import sys; sys.path.append({str(Path(__file__).parent)!r}); import warm"
        (folder / program).write_text(f"#!{sys.executable} -IS\n{find}; warm.relay({words})\n")
        (folder / program).chmod(0o755)
    return folder


@cache
def _folder() -> Path:
    """Where nurseries are asked."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    return Path(folder)


@cache
def _start_nursery(kind: str) -> Path:
    """The socket of a process that has imported libraries and forks what is asked of it."""
    command = [sys.executable, __file__, kind]
    variables = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)  # imports would take three times as long
    with _make_socket() as asked:
        asked.bind(str(_folder() / kind))
        asked.listen(64)
        nursery = subprocess.Popen(
            [*command, str(asked.fileno())],
            env=variables,
            stdin=subprocess.PIPE,
            pass_fds=[asked.fileno()],
        )
    atexit.register(nursery.communicate)  # it ends with its input
    return _folder() / kind


def _make_socket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def _start_child(kind: str, request: dict[str, Any], descriptors: list[int]) -> int:
    """Return the id of a new child of this process."""
    address = _start_nursery(kind)
    with ASKING, _reaping_descendants(), _ask(address, request, descriptors) as nursery:
        return int(nursery.recv(MAX_REQUEST))


def _ask(address: Path, request: dict[str, Any], descriptors: list[int]) -> socket.socket:
    """Ask for a process; its id comes first, and its exit code if it is watched."""
    nursery = _make_socket()
    nursery.connect(str(address))
    socket.send_fds(nursery, [json.dumps(request).encode()], descriptors)
    return nursery


@contextmanager
def _reaping_descendants() -> Iterator[None]:
    """A descendant whose parent ends meanwhile becomes a child of this process."""
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def relay(folder: str, *command: str) -> None:
    """Stand for a program that starts warm: pass signals on to it, and end as it does."""
    kind = _find_kind(command)
    if not kind or not (Path(folder) / kind).exists():
        os.execv(command[0], command)
    request = {
        "arguments": _drop_interpreter(command),
        "folder": str(Path.cwd()),
        "environment": dict(os.environ),
        "new_session": True,  # or Ctrl-C would reach it twice
        "kept": [],
        "watched": True,
    }
    passed_on = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}
    signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)
    with _ask(Path(folder) / kind, request, [0, 1, 2]) as nursery:
        process = int(nursery.recv(MAX_REQUEST))
        for it in passed_on:
            # A program that a script starts by & ignores Ctrl-C.
            if signal.getsignal(it) != signal.SIG_IGN:
                signal.signal(it, lambda number, _: _kill_group(process, number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
        code = int(nursery.recv(MAX_REQUEST))
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


def _serve(listening: socket.socket) -> dict[str, Any]:
    """Return in each new process, with what it is to run; the nursery ends with its input."""
    while True:
        ready, _, _ = select.select([sys.stdin, listening], [], [])
        if sys.stdin in ready:
            sys.exit()
        asked, _ = listening.accept()
        content, descriptors, _, _ = socket.recv_fds(asked, MAX_REQUEST, MAX_DESCRIPTORS)
        request: dict[str, Any] = json.loads(content or "null")
        if request and _fork(request, asked):
            listening.close()  # before its number is taken for another one
            _take(descriptors, [0, 1, 2, *request["kept"]])
            return request
        asked.close()
        for descriptor in descriptors:
            os.close(descriptor)


def _fork(request: dict[str, Any], asked: socket.socket) -> bool:
    """Whether this is the new process. The nursery tells the one that asked its id."""
    reading, writing = os.pipe()
    if between := os.fork():
        if "watched" not in request:
            os.waitpid(between, 0)
        with suppress(ConnectionError):  # the one that asked may be gone
            asked.send(os.read(reading, 32))
    elif child := os.fork():
        os.write(writing, str(child).encode())
        if "watched" in request:
            _watch(child, asked)
        # Its end makes the new process a child of the one that asked.
        os._exit(0)
    for end in (reading, writing):
        os.close(end)
    if between:
        return False
    asked.close()
    return True


def _watch(child: int, asked: socket.socket) -> None:
    """Tell how a process ends to the one that stands for it, and end the process with that."""
    os.closerange(0, asked.fileno())
    os.closerange(asked.fileno() + 1, 256)
    ended = os.pidfd_open(child)
    if ended not in select.select([ended, asked], [], [])[0]:
        _kill_group(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with suppress(ConnectionError):
        asked.send(str(os.waitstatus_to_exitcode(status)).encode())


def _kill_group(process: int, number: int) -> None:
    """Signal a process and its children; the process alone, if it has no group of its own yet."""
    with suppress(ProcessLookupError):
        try:
            os.killpg(process, number)
        except ProcessLookupError:
            os.kill(process, number)


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
    if Path(request["arguments"][0]).name == "metrics.py":
        multiprocess.ORIGINAL_DIR = str(Path.cwd())  # for scripts that are named from there
        _keep_fork_server()
    _run(request["arguments"])


def _keep_fork_server() -> None:
    """Fork what `multiprocessing` would start as its fork server, which imports all again."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if (server := os.fork()) == 0:
        ours.close()
        _serve_forks(theirs)
    theirs.close()
    spawn = util.spawnv_passfds

    def start(path: bytes, arguments: list[str], descriptors: list[int]) -> int:
        if "multiprocessing.forkserver" not in arguments[-1]:
            return spawn(path, arguments, descriptors)
        util.spawnv_passfds = spawn  # the next one is cold
        request = {"code": arguments[-1], "kept": list(descriptors)}
        with ours:
            socket.send_fds(ours, [json.dumps(request).encode()], descriptors)
        return server

    util.spawnv_passfds = start


def _serve_forks(asked: socket.socket) -> None:
    """Run the code of a fork server once it is needed; end if the parent does before that."""
    with asked:
        content, descriptors, _, _ = socket.recv_fds(asked, MAX_REQUEST, MAX_DESCRIPTORS)
    if content:
        request = json.loads(content)
        _take(descriptors, request["kept"])
        with suppress(SystemExit):  # once no process needs it any more
            exec(request["code"])
    os._exit(0)


def _run(arguments: list[str]) -> None:
    if {*FORKING} & {*arguments[:2], Path(arguments[0]).name}:
        subprocess.Popen = ForkedWorker  # type: ignore[misc]
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
        runpy.run_path(arguments[0], run_name="__main__")


def _import(kind: str) -> None:
    sys.path.pop(0)  # the tests' modules are not the programs'
    for library in LIBRARIES[kind]:
        importlib.import_module(library)
    if requirements := sys.modules.get("mlflow.utils.requirements_utils"):
        # MLflow looks for a second at all that is installed, once in each process.
        requirements._init_packages_to_modules_map()
        _forget_server()
        sys.modules["mlflow.utils.process"]._exec_cmd = _serve_runs  # type: ignore[attr-defined]
    gc.freeze()


def _serve_runs(command: list[str], extra_env: dict[str, str], **_: object) -> None:
    """Become the server that MLflow's command would start, with all imports, as its child."""
    os.environ.update(extra_env)
    _forget_server()
    _run(_drop_interpreter(command))


def _forget_server() -> None:
    """Import its modules again later, as they read the environment then."""
    for name in [it for it in sys.modules if it.startswith("mlflow.server")]:
        if name != "mlflow.server.otlp_metrics":  # Prometheus would register its counters twice
            del sys.modules[name]


if __name__ == "__main__":
    _import(sys.argv[1])
    _become(_serve(socket.socket(fileno=int(sys.argv[2]))))
