"""Starts the services as real processes, for the tests of every folder."""

import atexit
import fcntl
import inspect
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest
import requests
import warm

ROOT = Path(__file__).parent.parent
SERVICES = ("backend", "frontend", "mlflow")
INSTANCE = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}

# Started in the background by a shell, we would hand on that Ctrl-C is to be ignored. Workers of
# Dask, which import this in a thread, start nothing.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_until(condition: Callable[[], object], seconds: float = 90) -> None:
    """Wait for a condition; errors of a server that is still starting count as not yet.

    Raises AssertionError with the condition's source and what it said last.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            if seen := condition():
                return
        except requests.RequestException as error:
            seen = error
        if time.monotonic() > deadline:
            source = "".join(inspect.getsourcelines(condition)[0]).strip()
            raise AssertionError(f"After {seconds:g} s it still said {seen!r}: {source}")
        time.sleep(0.05)


def environment(**changes: object) -> dict[str, str]:
    """This process's environment, with what makes imports slow left out."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHONDONT")}
    return kept | {name: str(value) for name, value in changes.items()}


def find_free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        port: int = it.getsockname()[1]
        return port


def train(
    models_dir: Path, runs_dir: Path, *arguments: object, **settings: object
) -> subprocess.CompletedProcess[str]:
    """Run metrics.py as a user does, tracking in a database of its own without a server."""
    if "MLFLOW_TRACKING_URI" not in settings:
        give_database(runs_dir)
    command = [sys.executable, str(ROOT / "mlflow/metrics.py"), *map(str, arguments)]
    variables = {
        "MODELS_DIR": models_dir,
        "MLFLOW_TRACKING_URI": f"sqlite:///{runs_dir}/mlflow.db",
        "UNSENT_RUNS_DIR": runs_dir / "unsent",
        **settings,
    }
    return warm.run(command, env=environment(**variables), cwd=runs_dir, timeout=240)


@contextmanager
def running(
    command: list[str], folder: Path | str, output: int | IO[str] | None = None, **variables: object
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a service's folder; asked to stop at the end, and killed if it does not."""
    process = warm.Popen(
        command,
        env=environment(**variables),
        cwd=ROOT / folder,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # A process manager stops its own, which a kill of its group would not reach.
        for ending in (signal.SIGINT, signal.SIGKILL):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, ending)
                process.wait(20)


def list_processes(parent: int) -> list[tuple[int, str]]:
    """The children of a process with their command lines, all the way down; of Linux alone."""
    found = []
    for task in Path(f"/proc/{parent}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            with suppress(OSError):
                command = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
                found += [(child, command), *list_processes(child)]
    return found


@contextmanager
def running_backend(models_dir: Path, port: int | None = None, **settings: object) -> Iterator[str]:
    """The address of a real backend, once it lives, or is ready if there is a model.

    It has no journal unless one is set.
    """
    port = port or find_free_port()
    command = [sys.executable, "serve.py", "--port", str(port)]
    url, look = f"http://127.0.0.1:{port}", "ready" if [*models_dir.glob("*.pkl")] else "live"
    with running(command, "backend", **{"MODELS_DIR": models_dir, "JOURNAL": "off"} | settings):
        wait_until(lambda: requests.get(f"{url}/health/{look}", timeout=5).ok)
        yield url


@contextmanager
def running_frontend(backend_url: str) -> Iterator[str]:
    """The address of a real page that asks a backend, be it there or not."""
    port = find_free_port()
    command = [sys.executable, "-m", "streamlit", "run", "main.py", "--server.port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with running(command, "frontend", BACKEND_URL=backend_url):
        wait_until(lambda: requests.get(f"{url}/_stcore/health", timeout=5).ok)
        yield url


@contextmanager
def running_mlflow(
    models_dir: Path,
    runs_dir: Path,
    options: Sequence[str] = (),
    output: IO[str] | None = None,
    **settings: object,
) -> Iterator[str]:
    """The address of a real tracking server, once it answers."""
    if "MLFLOW_BACKEND_STORE_URI" not in settings:
        give_database(runs_dir)
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    variables = {
        "MODELS_DIR": models_dir,
        "MLFLOW_TRACKING_URI": url,
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{runs_dir}/mlflow.db",
        "MLFLOW_ARTIFACTS_DESTINATION": runs_dir / "artifacts",
        "PATH": f"{warm.make_programs('trainer')}:{os.environ['PATH']}",
        **settings,
    }
    command = ["sh", "start.sh", "--port", str(port), *options]
    with running(command, "mlflow", output, **variables):
        # It may train a first model while it starts.
        wait_until(lambda: requests.get(f"{url}/health", timeout=5).ok, seconds=180)
        yield url


def give_database(runs_dir: Path) -> None:
    """Copy MLflow's tables into a folder that has none: to make them takes seconds."""
    if not (runs_dir / "mlflow.db").exists():
        shutil.copy(_make_database(), runs_dir)


@cache
def _make_database() -> Path:
    """As start.sh does; once for all suites that share a folder, else once for each process."""
    folder = os.environ.get("SHARED_TRAINING_DIR") or tempfile.mkdtemp()
    if "SHARED_TRAINING_DIR" not in os.environ:
        atexit.register(shutil.rmtree, folder)
    return _make_once(Path(folder), "tables", _make_tables)


def _make_tables(folder: Path) -> Path:
    path = folder / "mlflow.db"
    variables = environment(MLFLOW_BACKEND_STORE_URI=f"sqlite:///{path}")
    made = warm.run([sys.executable, str(ROOT / "mlflow/databases.py")], env=variables)
    assert made.returncode == 0, made.stderr
    return path


def _make_once(folder: Path, name: str, function: Callable[[Path], Any]) -> Any:
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / f"{name}.pickle"
        if not done.exists():
            (folder / name).mkdir()
            done.write_bytes(pickle.dumps(function(folder / name)))
        return pickle.loads(done.read_bytes())


@pytest.fixture(scope="session")
def make_once(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Callable[[str, Callable[[Path], Any]], Any]:
    """What a function makes in a folder of this name, once for all processes that test.

    `make test` names a folder that all parts share.
    """
    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        folder = folder.parent
    folder = Path(os.environ.get("SHARED_TRAINING_DIR", folder))
    return partial(_make_once, folder)


@pytest.fixture(scope="session")
def published(make_once: Callable[[str, Callable[[Path], Any]], Any]) -> SimpleNamespace:
    """One training's folder of models, its folder of runs and what the command said."""
    made: SimpleNamespace = make_once("published", _publish)
    return made


def _publish(folder: Path) -> SimpleNamespace:
    models_dir, runs_dir = folder / "models", folder / "runs"
    models_dir.mkdir()
    runs_dir.mkdir()
    command = train(models_dir, runs_dir)
    assert command.returncode == 0, command.stderr
    return SimpleNamespace(models_dir=models_dir, runs_dir=runs_dir, command=command)
