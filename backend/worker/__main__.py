"""Imports the libraries once, gives up its rights, and forks a process for each model."""

import gc
import os
import select
import signal
import socket
import sys
from contextlib import suppress

from sklearn.neighbors import KNeighborsClassifier

from worker import isolation
from worker.nursery import PID, REQUEST
from worker.service import serve

REAP_SECONDS = 1.0


class Forks:
    """The processes that were forked and have not been waited for."""

    def __init__(self) -> None:
        self._pids: set[int] = set()

    def add(self, pid: int) -> None:
        self._pids.add(pid)

    def end(self, pid: int) -> None:
        """Kill it if it is one of these: until it is waited for, no other has its number."""
        if pid in self._pids:
            os.kill(pid, signal.SIGKILL)

    def reap(self) -> None:
        with suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) > 0:
                self._pids.discard(pid)


def run(control: socket.socket) -> None:
    """Answer one request after the other until the server is gone; its processes end with it."""
    _look_around()
    isolation.go_first()
    used = isolation.measure_memory()
    isolation.give_up_privileges()
    held = ["files"] if isolation.confine_files() else []
    gc.freeze()  # or each collection in a fork would copy all that is imported
    forks = Forks()
    while True:
        ready, _, _ = select.select([control], [], [], REAP_SECONDS)
        forks.reap()
        if not ready:
            continue
        request, descriptors, _, _ = socket.recv_fds(control, REQUEST.size, 1)
        if not request:
            return
        ended, memory = REQUEST.unpack(request)
        if ended:
            forks.end(ended)
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


def _look_around() -> None:
    """Have scikit-learn look for thread pools once, while it may still read /proc."""
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
