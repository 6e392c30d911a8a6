"""Starts processes for models, and ends them."""

import asyncio
import logging
import select
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock
from weakref import finalize

from worker.exchange import (
    ANSWER_ROOM,
    ExchangeError,
    Message,
    Room,
    receive,
    receive_soon,
    send,
    send_soon,
)

log = logging.getLogger(__name__)

START_SECONDS = 60.0  # importing takes one or two; a busy machine may take ten times that
FORK_SECONDS = 10.0

# The process to end, or 0 to fork one; and the bytes that it may take. Only a fork is answered.
REQUEST = struct.Struct("<qq")
PID = struct.Struct("<q")

# One thread each: pools do not survive a fork, and the other cores have other requests.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONNOUSERSITE": "1"}
# Memory for a chunk of rows is taken for the next one again, and not given back in between.
ENVIRONMENT |= {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**27)}


class WorkerProcess:
    """The server's end of one process; it ends when nobody refers to it any more."""

    def __init__(self, channel: socket.socket, pid: int, nursery: "Nursery") -> None:
        self.pid = pid
        self.has_read = False  # a table, whose rows may still lie in its memory
        self._channel = channel
        # Called amid anything, so it takes no lock and waits for nobody.
        self._finalizer = finalize(self, _end, channel, pid, nursery)

    def tell(self, message: Message, seconds: float) -> None:
        """Raises as `ask` does."""
        self._channel.settimeout(seconds)
        send(self._channel, *message)

    def receive(self, seconds: float) -> Message:
        """Return the next message; raises as `ask` does."""
        return receive(self._channel, seconds, ANSWER_ROOM)

    def ask(self, message: Message, seconds: float) -> Message:
        """Its answer; raises ExchangeError if it has gone, TimeoutError if it takes too long."""
        self.tell(message, seconds)
        return self.receive(seconds)

    async def tell_soon(self, message: Message, seconds: float) -> None:
        """As `tell`, on an event loop, which serves others meanwhile."""
        async with asyncio.timeout(seconds):
            await send_soon(self._channel, *message)

    async def receive_soon(self, seconds: float, room: Room = ANSWER_ROOM) -> Message:
        """As `receive`, on an event loop."""
        async with asyncio.timeout(seconds):
            return await receive_soon(self._channel, room)

    @property
    def waits(self) -> bool:
        """Whether it is there and has said nothing that it was not asked."""
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        return not poll.poll(0)

    def end(self) -> None:
        """Kill it."""
        self._finalizer()


class Nursery:
    """A process that has the libraries imported, and forks others, each for one model."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Begin to import now, so that the first model need not wait for it."""
        with self._lock:
            self._start()

    def fork(self, memory: int) -> WorkerProcess:
        """A process that may take so many bytes; raises ExchangeError if there can be none."""
        ours, theirs = socket.socketpair()
        try:
            with theirs, self._lock:
                pid = self._ask(memory, theirs.fileno())
        except ExchangeError:
            ours.close()
            raise
        return WorkerProcess(ours, pid, self)

    def end(self, pid: int) -> None:
        """Kill a process that `fork` has started, and do not wait for it."""
        if control := self._control:
            with suppress(OSError):
                control.send(REQUEST.pack(pid, 0), socket.MSG_DONTWAIT)

    def close(self) -> None:
        """End all of its processes."""
        with self._lock:
            self._stop()

    def _ask(self, memory: int, descriptor: int) -> int:
        for _ in range(2):  # once more with another one, if it was killed
            control = self._start()
            try:
                socket.send_fds(control, [REQUEST.pack(0, memory)], [descriptor])
                if answer := control.recv(PID.size):
                    control.settimeout(FORK_SECONDS)
                    return int(PID.unpack(answer)[0])
            except OSError as error:
                log.error("model workers cannot be started error=%r", error)
            self._stop()
        raise ExchangeError("The process that starts models has ended.")

    def _start(self) -> socket.socket:
        if self._control and self._process and self._process.poll() is None:
            return self._control
        self._stop()
        ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            self._process = subprocess.Popen(  # noqa: S603  # our own program
                [sys.executable, "-m", "worker", str(number)],
                cwd=Path(__file__).parents[1],
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[number],
                process_group=0,  # Ctrl-C in a terminal is for the server, which ends this one
            )
        ours.settimeout(START_SECONDS)
        self._control = ours
        return ours

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@cache
def find_nursery() -> Nursery:
    """The one of this process."""
    return Nursery()


def _end(channel: socket.socket, pid: int, nursery: Nursery) -> None:
    channel.close()
    nursery.end(pid)
