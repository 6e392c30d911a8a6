"""Runs a function in a process of its own, where it may hang, crash or eat memory."""

import os
import resource
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkContext, SpawnContext
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

# A fork has all that is imported, in milliseconds and without its memory; only Linux forks safely.
_Context = ForkContext if sys.platform == "linux" else SpawnContext
_context = _Context()

MEMORY = 2 * 1024**3  # bytes a call may take, beyond eight times its arguments'


class Crashed(Exception):
    """The process ended without an answer."""


class TimedOut(Exception):
    """The process did not answer in time."""


def call(function: Callable[..., Any], *arguments: Any, seconds: float) -> Any:
    """The function's result, or what it raised; raises Crashed or TimedOut.

    The function, its arguments and its result have to be picklable.
    """
    ours, theirs = _context.Pipe(duplex=False)
    process = _context.Process(target=_answer, args=(theirs, function, arguments), daemon=True)
    with warnings.catch_warnings():
        # What it warns of, locks held by other threads, the function has no use for.
        warnings.filterwarnings("ignore", message=".*multi-threaded, use of fork")
        process.start()
    theirs.close()
    try:
        if not ours.poll(seconds):
            raise TimedOut
        succeeded, answer = ours.recv()
    except EOFError:
        raise Crashed from None
    finally:
        process.kill()
        process.join()
        process.close()  # or its files stay open for as long as it is referred to
        ours.close()
    if succeeded:
        return answer
    raise answer


def _answer(pipe: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    _let_go_of_files(but=pipe.fileno())
    _limit_memory(sum(len(it) for it in arguments if isinstance(it, bytes)))
    with suppress(BrokenPipeError):  # nobody waits for the answer if the server was killed
        try:
            # One thread: the pools of the process that was forked are not there.
            with threadpool_limits(1):
                pipe.send((True, function(*arguments)))
        except Exception as error:  # whatever it raises is its answer
            pipe.send((False, error))


def _let_go_of_files(but: int) -> None:
    """A connection that the server closes must not stay open here."""
    for descriptor in [int(path.name) for path in Path("/dev/fd").iterdir()]:
        if descriptor not in (0, 1, 2, but):
            with suppress(OSError):  # that of the listing itself
                os.close(descriptor)


def _limit_memory(size: int) -> None:
    with suppress(OSError):  # Linux: where memory runs out, this process goes first
        Path("/proc/self/oom_score_adj").write_text("1000")
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        limit = used + MEMORY + 8 * size
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
