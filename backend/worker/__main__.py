"""Imports the libraries once, gives up its rights, and forks a process for each model."""

import gc
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module

from sklearn.neighbors import KNeighborsClassifier

from worker import isolation
from worker.nursery import PID, REQUEST
from worker.service import serve
from worker.unpickling import read_allow_list

REAP_SECONDS = 1.0


def run(control: socket.socket) -> None:
    """Answer one request after the other until the server is gone; its processes end with it."""
    _look_around()
    isolation.go_first()
    used = isolation.measure_memory()
    isolation.give_up_privileges()
    held = ["files"] if isolation.confine_files() else []
    gc.freeze()  # or each collection in a fork would copy all that is imported
    forks: set[int] = set()
    while True:
        ready, _, _ = select.select([control], [], [], REAP_SECONDS)
        _reap(forks)
        if not ready:
            continue
        try:
            request, descriptors, _, _ = socket.recv_fds(control, REQUEST.size, 1)
        except ConnectionError:  # it ended with something left to read
            return
        if not request:
            return
        ended, memory = REQUEST.unpack(request)
        if ended:
            if ended in forks:
                os.kill(ended, signal.SIGKILL)
            continue
        parent, pid = os.getpid(), os.fork()
        if pid == 0:
            control.close()
            limit = None if used is None else used + memory
            _become_worker(descriptors[0], limit, held, parent)
        os.close(descriptors[0])
        forks.add(pid)
        with suppress(OSError):  # the server has gone, which the next look tells
            control.sendall(PID.pack(pid))


def _reap(forks: set[int]) -> None:
    """Forget those that have ended: once waited for, another process may have the number."""
    with suppress(ChildProcessError):
        while (pid := os.waitpid(-1, os.WNOHANG)[0]) > 0:
            forks.discard(pid)


def _look_around() -> None:
    """Import what models are made of, and have scikit-learn look for thread pools in /proc."""
    for module, _ in read_allow_list():
        with suppress(ModuleNotFoundError):  # another version of SciPy has it
            import_module(module)
    KNeighborsClassifier(1, algorithm="brute").fit([[0.0], [1.0]], [0, 1]).predict([[0.0]])


def _become_worker(descriptor: int, memory: int | None, held: list[str], parent: int) -> None:
    """Never returns: what goes wrong is for the server to notice."""
    try:
        isolation.end_with_parent(parent)
        isolation.close_descriptors(descriptor)
        channel = socket.socket(fileno=descriptor)
        isolation.limit(memory)
        if isolation.confine_calls():
            held = [*held, "calls"]
        serve(channel, held if memory is None else [*held, "memory"])
    finally:
        os._exit(0)


if __name__ == "__main__":
    run(socket.socket(fileno=int(sys.argv[1])))
