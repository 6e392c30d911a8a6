"""Runs independent tasks on all cores."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from math import inf
from threading import TIMEOUT_MAX, Thread
from typing import Any, NamedTuple, Protocol, TypeVar

import joblib
from threadpoolctl import threadpool_limits

MAX_LINE = 150  # characters, so that there are 200 with the name of a candidate

# Forked from a process that has imported these and done nothing else: as safe as a new one, and
# there at once.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        *("pandas", "requests", "scipy.stats", "sklearn.calibration", "sklearn.compose"),
        *("sklearn.datasets", "sklearn.discriminant_analysis", "sklearn.dummy", "sklearn.ensemble"),
        *("sklearn.inspection", "sklearn.kernel_approximation", "sklearn.naive_bayes"),
        *("sklearn.neighbors", "sklearn.svm"),
    ]
)


class Task(Protocol):
    """Anything that says by its name whose task it is."""

    @property
    def name(self) -> str: ...


class Failure(NamedTuple):
    """Why there is no result, in as many lines as an error takes to say it."""

    reason: str

    @classmethod
    def of(cls, error: Exception) -> "Failure":
        return cls(str(error).strip() or repr(error))

    @property
    def line(self) -> str:
        """The first line, or the beginning of it, as a sentence ends."""
        first = self.reason.splitlines()[0].rstrip(".")
        return f"{first}." if len(first) < MAX_LINE else f"{first[: MAX_LINE - 1]}…"


T = TypeVar("T", bound=Task)
S = TypeVar("S")
R = TypeVar("R")


def run(
    function: Callable[[S, T], R], tasks: list[T], setting: S, deadline: float = inf
) -> Iterator[tuple[T, R | Failure]]:
    """Each task with `function(setting, task)`, as they finish, until the deadline.

    The setting is sent to each process once. The deadline is in monotonic time.
    """
    waiting = list(tasks)
    try:
        with _pool(function, setting) as pool:
            futures = {pool.submit(_call, task): task for task in tasks}
            for future in as_completed(futures, min(deadline - time.monotonic(), TIMEOUT_MAX)):
                outcome = future.result()
                waiting.remove(futures[future])
                yield futures[future], outcome
    except TimeoutError:
        return
    except BrokenProcessPool:
        yield from _run_apart(function, waiting, setting, deadline)


def attempt(function: Callable[[S, T], R], setting: S, task: T) -> R | Failure:
    """What the function returns, or why it returns nothing."""
    try:
        return function(setting, task)
    except Exception as error:  # an estimator can raise anything
        return Failure.of(error)


def _run_apart(
    function: Callable[[S, T], R], tasks: list[T], setting: S, deadline: float
) -> Iterator[tuple[T, R | Failure]]:
    """A process died. Whose task it was shows when those of each name run alone."""
    names = list(dict.fromkeys(task.name for task in tasks))
    if len(names) == 1:
        yield tasks[0], Failure("its process died; perhaps it ran out of memory")
        return
    for name in names:
        alone = [task for task in tasks if task.name == name]
        yield from run(function, alone, setting, deadline)


@contextmanager
def _pool(function: Callable[..., Any], setting: Any) -> Iterator[ProcessPoolExecutor]:
    """A process for each core; none outlives the block, whatever it is doing."""
    arguments = (function, setting)
    pool = ProcessPoolExecutor(joblib.cpu_count(), _context, _prepare, arguments)
    try:
        yield pool
    finally:
        for process in multiprocessing.active_children():
            process.kill()
        if sys.version_info < (3, 11, 5):
            # Or shutdown waits for ever to write what nobody reads any more (cpython#94777).
            pool._call_queue._reader.close()  # type: ignore[attr-defined]
        pool.shutdown(cancel_futures=True)


_prepared: list[tuple[Callable[..., Any], Any]] = []  # in a worker: the one function it runs


def _prepare(function: Callable[..., Any], setting: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    # The processes take the cores: threads of BLAS and OpenMP would only get in their way, and
    # their number changes the last digits.
    threadpool_limits(1)
    _prepared.append((function, setting))
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Where that is killed, or its processes would wait for tasks for ever."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)


def _call(task: Any) -> Any:
    [(function, setting)] = _prepared
    return attempt(function, setting, task)
