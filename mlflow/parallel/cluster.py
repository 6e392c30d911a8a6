"""Runs independent tasks on a Dask cluster."""

import hashlib
import logging
import pickle
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from functools import cache, lru_cache, partial
from importlib.metadata import version
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import joblib
from threadpoolctl import threadpool_limits

from parallel import cores
from parallel.cores import Failure, R, S, T, attempt

if TYPE_CHECKING:  # its import takes a second, and only those with a cluster need it
    from distributed import Client

SECONDS_TO_ANSWER = 5.0  # for a scheduler that is asked for the first time
SECONDS_TO_JOIN = 10.0  # for the first worker
SECONDS_OF_SILENCE = 20.0  # after these a scheduler hangs
SECONDS_WITHOUT_WORKERS = 30.0  # a nanny and Docker restart theirs in a few
SECONDS_BETWEEN_LOOKS = 2.0

_IDLE = "no worker answers, or all are paused, short of memory"
_ADVICE = "Check DASK_SCHEDULER_ADDRESS; the cluster has to run this build of the trainer's image."


class ClusterLost(Exception):
    """It cannot be used, or no longer; the message says why."""


class Crew(NamedTuple):
    """Who does the work: `run` takes what `cores.run` takes. On one machine, no workers."""

    run: Callable[..., Iterator[tuple[Any, Any]]]
    cores: int
    workers: int = 0


@contextmanager
def hire(address: str | None) -> Iterator[Crew]:
    """Yield the workers of the scheduler at this address, such as tcp://scheduler:8786.

    This machine's cores without an address, or if the cluster cannot be used; a line on stderr
    then says why, and what to check.
    """
    client, crew = None, Crew(cores.run, joblib.cpu_count())
    try:
        if address:
            client = _connect(address)
            crew = _enlist(client)
    except Exception as error:  # Dask can fail in any way
        found = Failure.of(error) if str(error) else Failure("its scheduler does not answer")
        _say(f"The cluster at {address} is not used: {found.line} {_ADVICE}")
    try:
        yield crew
    finally:
        if client:
            _close(client)


def _connect(address: str) -> "Client":
    from distributed import Client  # noqa: PLC0415  # as above

    # Its log and warnings say in many lines what we say in one.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module="distributed")
    return Client(address, timeout=SECONDS_TO_ANSWER)


def _close(client: "Client") -> None:
    """However the scheduler is."""
    with suppress(OSError):
        client.close(timeout=SECONDS_TO_ANSWER)


def _enlist(client: "Client") -> Crew:
    """Raises ClusterLost if workers or scheduler do not have what we have, and what Dask raises.

    The scheduler is asked, too, as it unpickles what the workers run.
    """
    _ask(client, client.wait_for_workers, 1, SECONDS_TO_JOIN)
    scheduler = _ask(client, client.run_on_scheduler, _read_versions)
    for versions in (scheduler, *_ask(client, client.run, _read_versions).values()):
        _refuse_others(versions, _read_versions())
    threads = _ask(client, client.run_on_scheduler, _list_threads)
    if not threads:
        raise ClusterLost(_IDLE)
    return Crew(partial(_run, client), sum(threads), len(threads))


def _ask(client: "Client", method: Callable[..., Any], *arguments: Any) -> Any:
    """Raises TimeoutError if the scheduler hangs."""
    return client.sync(method, *arguments, callback_timeout=SECONDS_OF_SILENCE)


@cache
def _read_versions() -> dict[str, str]:
    """The versions that the numbers and the pickles depend on, and a hash of the code."""
    packages = ("distributed", "numpy", "pandas", "scikit-learn", "scipy")
    root = Path(__file__).parents[1]
    ours = {*root.glob("*.py"), *root.glob("*/*.py")} - {*root.glob("tests/*.py")}
    code = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(ours))).hexdigest()
    python = ".".join(map(str, sys.version_info[:2]))
    return {"Python": python, **{name: version(name) for name in packages}, "code": code[:12]}


def _refuse_others(theirs: dict[str, str], ours: dict[str, str]) -> None:
    """Raises ClusterLost."""
    for name, value in theirs.items():
        if value != ours.get(name):
            raise ClusterLost(f"it has {name} {value}, and the trainer {ours.get(name)}")


def _run(
    client: "Client",
    function: Callable[[S, T], R],
    tasks: list[T],
    setting: S,
    deadline: float = inf,
) -> Iterator[tuple[T, R | Failure]]:
    """Do what `cores.run` does on the cluster, and what is left here once that is lost.

    The first tasks are begun first. At the deadline those that run are left to themselves.
    """
    waiting = list(tasks)
    try:
        for task, outcome in _collect(client, pickle.dumps((function, setting)), tasks, deadline):
            waiting.remove(task)
            yield task, outcome
        return
    except (OSError, CancelledError):
        found = Failure("its scheduler is gone or does not answer")
    except Exception as error:  # Dask and a worker can fail in any way
        found = Failure.of(error)
    if client.status != "closed":
        _say(f"The cluster is lost: {found.line} What is left runs on this machine.")
        _close(client)
    yield from cores.run(function, waiting, setting, deadline)


def _collect(
    client: "Client", prepared: bytes, tasks: list[T], deadline: float
) -> Iterator[tuple[T, Any]]:
    """Raises ClusterLost, and what Dask raises."""
    from distributed import wait  # noqa: PLC0415  # as above

    send = partial(client.submit, pure=False, retries=2)  # of what fails before it has begun
    # Bytes, so that all workers unpickle the very same, each of them once. A task makes them, so it
    # does again if the only worker that had them dies; scattered data would be lost.
    held = send(bytes, prepared, priority=1)
    futures = {
        send(_call, held, _read_versions(), pickle.dumps(task), priority=-number): task
        for number, task in enumerate(tasks)
    }
    seen = time.monotonic()  # a worker that can do something
    while futures and (seconds := deadline - time.monotonic()) > 0:
        try:
            seconds = min(seconds, SECONDS_BETWEEN_LOOKS)
            for future in wait(list(futures), seconds, "FIRST_COMPLETED").done:
                outcome = future.result(SECONDS_BETWEEN_LOOKS)
                yield futures.pop(future), outcome
        except TimeoutError:  # none is done, or the worker that had an outcome has died
            if not _ask(client, client.run_on_scheduler, _list_threads):
                if time.monotonic() - seen > SECONDS_WITHOUT_WORKERS:
                    raise ClusterLost(_IDLE) from None
                continue
        seen = time.monotonic()


def _list_threads(dask_scheduler: Any) -> list[int]:
    """Return how many threads each worker has that can do something.

    One that Dask has paused, above 80 % of its memory, begins nothing but ends what it runs.
    """
    return [
        worker.nthreads
        for worker in dask_scheduler.workers.values()
        if worker.status.name == "running" or worker.executing
    ]


def _call(held: bytes, versions: dict[str, str], task: bytes) -> Any:
    """Runs on a worker. Raises ClusterLost if that has joined later and is another."""
    _refuse_others(_read_versions(), versions)
    # Threads of BLAS and OpenMP change the last digits. Those of OpenMP are counted by thread, so
    # it is said in each.
    threadpool_limits(1)
    function, setting = _unpack(held)
    return attempt(function, setting, pickle.loads(task))


_unpack = lru_cache(maxsize=1)(pickle.loads)


def _say(line: str) -> None:
    """In place of the progress that a terminal shows."""
    start = "\r\033[K" if sys.stderr.isatty() else ""
    print(f"{start}{line}", file=sys.stderr, flush=True)
