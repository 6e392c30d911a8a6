"""Runs independent tasks on a Dask cluster."""

import hashlib
import logging
import pickle
import platform
import sys
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from functools import cache, lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

import joblib
from threadpoolctl import threadpool_limits

from running import cores
from running.cores import Failure, R, S, T, attempt

if TYPE_CHECKING:  # its import takes a second, and only those with a cluster need it
    from distributed import Client, Future

SECONDS_TO_ANSWER = 5.0  # for a scheduler that is asked for the first time
SECONDS_TO_JOIN = 10.0  # for the first worker
SECONDS_OF_SILENCE = 20.0  # after these a scheduler hangs
SECONDS_WITHOUT_WORKERS = 30.0  # a nanny and Docker start theirs anew in a few
SECONDS_BETWEEN_LOOKS = 2.0

RETRIES = 2  # of what fails before it has begun

# What the numbers and the pickles depend on.
PACKAGES = ("distributed", "numpy", "pandas", "scikit-learn", "scipy")

_GONE = "its scheduler is gone or does not answer. What is left runs on this machine."
_EMPTY = "it has no workers any more. What is left runs on this machine."
_PAUSED = "its workers are paused, short of memory. What is left runs on this machine."


class ClusterLost(Exception):
    """It cannot be used, or no longer; the message says why."""


class TimeIsUp(Exception):
    """The deadline has passed."""


class Crew(NamedTuple):
    """Who does the work: `run` takes what `cores.run` takes. On one machine, no workers."""

    run: Callable[..., Iterator[tuple[Any, Any]]]
    cores: int
    workers: int = 0


@contextmanager
def hire(address: str | None) -> Iterator[Crew]:
    """The cluster whose scheduler has this address; where there is none, this machine's cores."""
    client = connect(address) if address else None
    if client is None:
        yield _here()
        return
    try:
        yield enlist(client)
    finally:
        close(client)


def enlist(client: "Client") -> Crew:
    """Its workers; this machine's cores where none is left, and a line on stderr says so."""
    try:
        found = _ask_workers(client)
        threads = [worker["nthreads"] for worker in found if _is_able(worker)]
        if not threads:
            raise ClusterLost(_PAUSED if found else _EMPTY)
    except ClusterLost as reason:
        _say(f"The cluster is lost: {reason}")
        return _here()
    return Crew(partial(run, client), sum(threads), len(threads))


def _here() -> Crew:
    return Crew(cores.run, joblib.cpu_count())


def connect(address: str) -> "Client | None":
    """A client of the scheduler at this address, such as tcp://scheduler:8786.

    None where that does not answer, has no workers, or has workers with other versions or other
    code than ours; a line on stderr then says which, and what to check. `close` it at the end.
    """
    try:
        return _open(address)
    except ClusterLost as reason:
        _say(f"The cluster at {address} is not used: {reason}")
        return None


def close(client: "Client") -> None:
    """However the scheduler is."""
    with suppress(OSError):
        client.close(timeout=SECONDS_TO_ANSWER)


def run(
    client: "Client",
    function: Callable[[S, T], R],
    tasks: list[T],
    setting: S,
    deadline: float = float("inf"),
) -> Iterator[tuple[T, R | Failure]]:
    """As `cores.run` does, on the cluster; what is left, on this machine once that is lost.

    The first tasks are begun first. At the deadline those that run are left to themselves.
    """
    left = dict(enumerate(tasks))
    try:
        for number, outcome in _run(client, _prepare(function, setting), left, deadline):
            yield left.pop(number), outcome
    except TimeIsUp:
        return
    except ClusterLost as reason:
        if client.status != "closed":
            _say(f"The cluster is lost: {reason}")
            close(client)
        yield from cores.run(function, list(left.values()), setting, deadline)


def _open(address: str) -> "Client":
    import dask  # noqa: PLC0415  # as above
    from distributed import Client  # noqa: PLC0415

    # Its log says in many lines what we say in one.
    logging.getLogger("distributed").setLevel(logging.CRITICAL + 1)
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL + 1)
    dask.config.set(
        {
            "distributed.comm.timeouts.connect": SECONDS_TO_ANSWER,
            "distributed.comm.timeouts.tcp": SECONDS_OF_SILENCE,
            "distributed.admin.large-graph-warning-threshold": "1GiB",
        }
    )
    try:
        with warnings.catch_warnings(action="ignore"):  # versions are checked below
            client = Client(address, timeout=SECONDS_TO_ANSWER, set_as_default=False)
    except (OSError, ValueError) as error:
        advice = "Check DASK_SCHEDULER_ADDRESS, and that the scheduler runs."
        raise ClusterLost(f"no scheduler answers there. {advice}") from error
    try:
        _check(client)
    except ClusterLost:
        close(client)
        raise
    return client


def _check(client: "Client") -> None:
    """Scheduler and workers have what we have; it unpickles what they run. Raises ClusterLost."""
    ask = partial(client.sync, callback_timeout=SECONDS_OF_SILENCE)
    try:
        ask(client.wait_for_workers, 1, timeout=SECONDS_TO_JOIN)
        workers = ask(client.run, _describe, on_error="return").values()
    except OSError as error:
        raise ClusterLost("it has no workers that answer. Start one, or wait for it.") from error
    try:
        scheduler = ask(client.run_on_scheduler, _describe)
    except TimeoutError as error:
        raise ClusterLost("its scheduler does not answer. Start it anew.") from error
    except Exception as error:  # what it raises there is raised here
        scheduler = error
    _refuse_others("scheduler", [scheduler])
    _refuse_others("workers", workers)


def _refuse_others(who: str, found: Iterable[dict[str, str] | Exception]) -> None:
    for it in found:
        if isinstance(it, Exception):
            advice = f"Start its {who} from the trainer's image, or with its folder in PYTHONPATH."
            raise ClusterLost(f"its {who} lack the trainer's code ({it}). {advice}")
        if difference := _find_difference(it, _describe()):
            raise ClusterLost(f"its {who} have {difference}")


def _find_difference(worker: dict[str, str], trainer: dict[str, str]) -> str | None:
    """What a worker has that is not as the trainer's, and what to do."""
    for name, value in worker.items():
        if value != trainer.get(name) and name == "code":
            return "other code than the trainer. Build and start them anew."
        if value != trainer.get(name):
            advice = "Start them from the trainer's image."
            return f"{name} {value}, and the trainer {trainer.get(name)}. {advice}"
    return None


@cache
def _describe() -> dict[str, str]:
    """The versions and the code that this process has."""
    code = hashlib.sha256()
    root = Path(__file__).parents[1]
    for path in sorted({*root.glob("*.py"), *root.glob("[a-z]*/*.py")}):
        if path.parent.name != "tests":
            code.update(path.read_bytes())
    python = ".".join(platform.python_version_tuple()[:2])
    versions = {name: version(name) for name in PACKAGES}
    return {"python": python, **versions, "code": code.hexdigest()}


def _run(
    client: "Client", prepared: bytes, tasks: dict[int, Any], deadline: float
) -> Iterator[tuple[int, Any]]:
    """Dask blames a death on all that the worker had: whose it was shows when each name runs alone.

    Raises TimeIsUp and ClusterLost.
    """
    suspects = yield from _collect(client, prepared, dict(tasks), deadline)
    for name in suspects:
        alone = {number: task for number, task in tasks.items() if task.name == name}
        if (yield from _collect(client, prepared, dict(alone), deadline)):
            reason = "its workers died one after another; perhaps they ran out of memory"
            yield next(number for number in alone if number in tasks), Failure(reason)
            for number in alone:
                tasks.pop(number, None)


def _collect(
    client: "Client", prepared: bytes, tasks: dict[int, Any], deadline: float
) -> Generator[tuple[int, Any], None, list[str]]:
    """Outcomes as they come; at the end, the names of those whose workers died over and over."""
    from distributed import KilledWorker  # noqa: PLC0415  # as above

    futures, done = _submit(client, prepared, tasks)
    watch, suspects = _Watch(client), list[str]()
    try:
        while futures:
            future = _await_next(watch, done, deadline)
            if future not in futures:
                continue  # it was withdrawn
            number = futures.pop(future)
            try:
                outcome = _fetch(watch, future)
            except KilledWorker:
                suspects.append(tasks[number].name)
                _withdraw(client, futures, [n for n in tasks if tasks[n].name == suspects[-1]])
            else:
                yield number, outcome
    finally:
        _withdraw(client, futures, list(tasks))
    return suspects


def _submit(
    client: "Client", prepared: bytes, tasks: dict[int, Any]
) -> tuple[dict["Future[Any]", int], "SimpleQueue[Future[Any]]"]:
    """Each task's future, and where those are found that are done."""
    from distributed.client import ClosedClientError  # noqa: PLC0415  # as above

    futures, done = {}, SimpleQueue[Any]()
    try:
        # Made by a task, it is made again where the only worker that had it dies; scattered data
        # would be lost.
        held = client.submit(_hold, prepared, pure=False, retries=RETRIES, priority=1)
        for number, task in tasks.items():
            sent = (_call, held, pickle.dumps(task))
            future = client.submit(*sent, pure=False, retries=RETRIES, priority=-number)
            future.add_done_callback(done.put)
            futures[future] = number
    except ClosedClientError as error:
        raise ClusterLost(_GONE) from error
    return futures, done


def _withdraw(client: "Client", futures: dict["Future[Any]", int], numbers: list[int]) -> None:
    withdrawn = [future for future, number in futures.items() if number in numbers]
    for future in withdrawn:
        del futures[future]
    if withdrawn and client.status == "running":
        client.cancel(withdrawn)


class _Watch:
    """Looks now and then whether the cluster is still there."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._seen = time.monotonic()  # a worker that is able

    def look(self) -> None:
        """Raises ClusterLost."""
        if self._client.status != "running":
            raise ClusterLost(_GONE)
        found = _ask_workers(self._client)
        if any(map(_is_able, found)):
            self._seen = time.monotonic()
        if time.monotonic() - self._seen > SECONDS_WITHOUT_WORKERS:
            raise ClusterLost(_PAUSED if found else _EMPTY)


def _ask_workers(client: "Client") -> list[dict[str, Any]]:
    """What the scheduler knows of each, whether that answers or not. Raises ClusterLost."""
    if client.scheduler is None:
        raise ClusterLost(_GONE)
    ask = partial(client.sync, callback_timeout=SECONDS_OF_SILENCE)
    try:
        return list(ask(client.scheduler.identity, n_workers=-1)["workers"].values())
    except (OSError, CancelledError) as error:
        raise ClusterLost(_GONE) from error


def _is_able(worker: dict[str, Any]) -> bool:
    """One that Dask has paused, above 80 % of its memory, begins nothing but ends what it runs."""
    counts = worker["metrics"].get("task_counts", {})
    return bool(worker["status"] == "running" or counts.get("executing"))


def _await_next(watch: _Watch, done: "SimpleQueue[Future[Any]]", deadline: float) -> "Future[Any]":
    """Raises TimeIsUp and ClusterLost."""
    while True:
        seconds = min(SECONDS_BETWEEN_LOOKS, deadline - time.monotonic())
        try:
            return done.get(timeout=max(0.0, seconds))
        except Empty:
            if time.monotonic() >= deadline:
                raise TimeIsUp from None
        watch.look()


def _fetch(watch: _Watch, future: "Future[Any]") -> Any:
    """Raises KilledWorker and ClusterLost."""
    from distributed import KilledWorker  # noqa: PLC0415  # as above

    while True:
        try:
            return future.result(timeout=SECONDS_BETWEEN_LOOKS)
        except (KilledWorker, ClusterLost):
            raise
        except TimeoutError:  # the worker that had it has died, and another begins anew
            watch.look()
        except (OSError, CancelledError) as error:
            raise ClusterLost(_GONE) from error
        except Exception as error:  # a worker can fail in any way
            raise ClusterLost(f"a worker cannot do its part: {error!r}") from error


def _say(line: str) -> None:
    """In place of the progress that a terminal shows."""
    start = "\r\033[K" if sys.stderr.isatty() else ""
    print(f"{start}{line}", file=sys.stderr, flush=True)


def _prepare(function: Callable[..., Any], setting: Any) -> bytes:
    """Bytes, so that all workers unpickle the very same, each of them once."""
    return pickle.dumps((_describe(), pickle.dumps((function, setting))))


def _hold(prepared: bytes) -> bytes:
    return prepared


def _call(prepared: bytes, task: bytes) -> Any:
    """Runs on a worker."""
    # Threads of BLAS and OpenMP change the last digits. Those of OpenMP are counted by thread, so
    # it is said in each.
    threadpool_limits(1)
    return attempt(*_unpack(prepared), pickle.loads(task))


@lru_cache(maxsize=1)
def _unpack(prepared: bytes) -> tuple[Callable[..., Any], Any]:
    """Raises ClusterLost on a worker that came later and is another."""
    described, rest = pickle.loads(prepared)
    if difference := _find_difference(_describe(), described):
        raise ClusterLost(f"its workers have {difference}")
    function, setting = pickle.loads(rest)
    return function, setting
