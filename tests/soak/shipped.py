"""Servers that are stopped and started again, and one of them, the backend as it ships."""

import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import requests
from load import read_memory
from processes import find_free_port, list_processes, running, wait_until

START_SECONDS = 60
REST_SECONDS = 10  # at most, until all connections are closed at both ends


class Held(NamedTuple):
    """What a process holds: megabytes, threads, open files beside the journal's, model workers."""

    memory: float
    threads: int
    files: list[str]
    workers: int

    @property
    def descriptors(self) -> int:
        """Count callers and files, without one for each version and one for each model worker."""
        return sum(".pkl" not in file for file in self.files) - self.workers


class Restartable:
    """A server that can be stopped, and started again at its address."""

    def __init__(self, run: Callable[[], AbstractContextManager[Any]]) -> None:
        self._run = run
        self._life = ExitStack()

    def start(self) -> Any:
        """What the context of the server gives."""
        return self._life.enter_context(self._run())

    def stop(self) -> None:
        self._life.close()


class Backend(Restartable):
    """At one port, with a log of all its lives."""

    def __init__(self, models_dir: Path, journal_url: str, **settings: object) -> None:
        self.port = find_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.journal_url = journal_url
        self._log = tempfile.NamedTemporaryFile("w+", suffix=".log")  # noqa: SIM115  # as long as this
        command = [sys.executable, "serve.py", "--port", str(self.port)]
        variables = {"MODELS_DIR": models_dir, "JOURNAL_URL": journal_url, **settings}
        super().__init__(lambda: running(command, "backend", self._log, **variables))

    def start(self) -> None:
        """Return once a model is live."""
        self._process = super().start()
        wait_until(self.is_ready, START_SECONDS)

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_ready(self) -> bool:
        return requests.get(f"{self.url}/health/ready", timeout=5).ok

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """With all that belongs to it, as a container is."""
        os.killpg(self.pid, signal.SIGKILL)
        self.stop()

    def has_callers(self) -> bool:
        """Whether anybody is connected; of a process that is alive."""
        own, listening = f" from {self.port} to ", " in state 0A "
        return any(own in file and listening not in file for file in self._list_files())

    def find_writer(self) -> int:
        """The process that writes the journal; 0 while there is none."""
        found = (pid for pid, command in list_processes(self.pid) if "journal.writer" in command)
        return next(found, 0)

    def measure(self) -> Held:
        """Of the worker."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        threads = int(re.search(r"Threads:\s+(\d+)", status)[1])
        files = [file for file in self._list_files() if not self._is_of_journal(file)]
        return Held(read_memory(self.pid), threads, files, self._count_workers())

    def rest(self, most: float = inf) -> Held:
        """Once all connections are closed, and no process is being started, which takes two."""
        wait_for(REST_SECONDS, lambda: not self.has_callers())
        wait_for(REST_SECONDS, lambda: self.measure().descriptors <= most)
        return self.measure()

    def _count_workers(self) -> int:
        """With the process that forks them; one that has ended has no command line any more."""
        own = {pid for pid, command in list_processes(self.pid) if command}
        writer = self.find_writer()
        return len(own - {writer} - {pid for pid, _ in list_processes(writer)} if writer else own)

    def _list_files(self) -> list[str]:
        """Paths, kinds, and of connections their state and both ports."""
        sockets = _list_connections()
        files = []
        for link in Path(f"/proc/{self.pid}/fd").iterdir():
            with suppress(OSError):
                target = str(link.readlink())
                files.append(sockets.get(target, target))
        return sorted(files)

    def _is_of_journal(self, file: str) -> bool:
        """A pool keeps them: connections to PostgreSQL, or SQLite's files."""
        port = re.search(r":(\d+)/", self.journal_url.partition("://")[2])
        if port:
            return file.endswith(f" to {port[1]}")
        return file.startswith(self.journal_url.removeprefix("sqlite:///"))

    def expose(self) -> dict[str, float]:
        """The samples of /metrics by name, labels included."""
        lines = requests.get(f"{self.url}/metrics", timeout=30).text.splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def find_tracebacks(self) -> list[str]:
        """Where each in the log ends, and with what."""
        text = Path(self._log.name).read_text(errors="replace")
        found = re.findall(r"^Traceback .*\n((?:[ ].*\n)*)(\S.*)", text, re.MULTILINE)
        places = [re.findall(r"File .*", lines)[-1:] for lines, _ in found]
        return [f"{error} {place}" for (_, error), place in zip(found, places, strict=True)]


def _list_connections() -> dict[str, str]:
    """By what a descriptor of theirs is a link to."""
    found = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *rest = line.split()
        ports = [int(end.partition(":")[2], 16) for end in (local, remote)]
        found[f"socket:[{rest[5]}]"] = f"connection in state {state} from {ports[0]} to {ports[1]}"
    return found


def wait_for(seconds: float, condition: Callable[[], object]) -> float | None:
    """How long it took; None if it did not happen in time."""
    started = time.monotonic()
    try:
        wait_until(condition, seconds)
    except AssertionError:
        return None
    return time.monotonic() - started
