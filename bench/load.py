"""Draws irises, asks servers for them with wrk, each on a core, and says what that costs."""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import requests
from models import NAMES
from processes import find_free_port, list_processes, running, wait_until

SERVER_CORE, LOAD_CORE = "0", "1"
UVICORN = ["-m", "uvicorn", "--no-access-log", "--no-server-header", "--timeout-keep-alive", "75"]
BARE, FASTAPI = [*UVICORN, "limits:bare"], [*UVICORN, "limits:fastapi"]  # in bench/peers
SECONDS_BETWEEN_LOOKS = 0.2

SCRIPT = """
local bodies, next = {%s}, 0
function init(args)
  wrk.method, wrk.headers["Content-Type"] = "POST", "application/json"
  for i, body in ipairs(bodies) do bodies[i] = wrk.format(nil, nil, nil, body) end
end
function request()
  next = next %% #bodies + 1
  return bodies[next]
end
"""


@dataclass
class Load:
    """Requests a second; milliseconds; microseconds of the server's CPU time for each request."""

    rate: float
    p50: float
    p99: float
    failed: int
    cpu: float


class Server(NamedTuple):
    url: str
    pid: int


Name = TypeVar("Name")
S = TypeVar("S")


def draw(rows: int, seed: int = 0) -> np.ndarray:
    """Irises as people type them, no two alike on purpose; shape (rows, 4)."""
    low, high = [4.3, 2.0, 1.0, 0.1], [7.9, 4.4, 6.9, 2.5]
    return np.random.default_rng(seed).uniform(low, high, (rows, 4)).round(1)


def draw_instances(count: int = 1_000) -> list[dict[str, float]]:
    return list_instances(draw(count))


def list_instances(X: np.ndarray) -> list[dict[str, float]]:
    return [dict(zip(NAMES, row, strict=True)) for row in X.tolist()]


def make_table(X: np.ndarray) -> pa.Table:
    return pa.table(dict(zip(NAMES, map(np.ascontiguousarray, X.T), strict=True)))


@contextmanager
def serving(
    program: list[str], folder: str, path: str, cores: str = SERVER_CORE, **settings: object
) -> Iterator[Server]:
    """A Python program on the server's core, once it answers a GET of the path."""
    port = find_free_port()
    command = ["taskset", "-c", cores, sys.executable, *program, "--port", str(port)]
    with tempfile.TemporaryDirectory() as journal, Path(os.devnull).open("w") as log:
        variables = {"JOURNAL_URL": f"sqlite:///{journal}/journal.db"} | settings
        with running(command, folder, log, **variables) as process:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: requests.get(url + path, timeout=5).status_code in (200, 405))
            _leave_core(process.pid)
            yield Server(url, process.pid)


@contextmanager
def serving_backend(models_dir: Path | str, **settings: Any) -> Iterator[Server]:
    """The backend as it ships, once a model is live."""
    settings |= {"MODELS_DIR": models_dir}
    with serving(["serve.py"], "backend", "/health/ready", **settings) as server:
        yield server


def _leave_core(pid: int) -> None:
    """Put the journal's writer on the other core, as it would be if there were more."""
    for process, command in list_processes(pid):
        if "journal.writer" in command:
            os.sched_setaffinity(process, {int(LOAD_CORE)})


def require_wrk() -> None:
    if not shutil.which("wrk"):
        sys.exit("wrk makes the load, and is not there. On Debian and Ubuntu: apt install wrk")


def run_wrk(  # noqa: PLR0913, PLR0917  what wrk is told, and who is watched
    url: str,
    bodies: Sequence[Any],
    connections: int,
    seconds: float,
    pids: Sequence[int] = (),
    core: str | None = None,
) -> Load:
    """Send JSON bodies in turn; `pids` are the server's processes, `core` is wrk's."""
    quoted = ",".join(f"'{json.dumps(body)}'" for body in bodies)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % quoted)
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
        command += ["--latency", "-s", script.name, url]
        pinned = command if core is None else ["taskset", "-c", core, *command]
        before = read_cpu(pids)
        said = subprocess.run(pinned, capture_output=True, text=True, check=True).stdout
        used = sum_cpu(since=before)
    failed = re.findall(r"Non-2xx.*: (\d+)|(?:connect|read|write|timeout) (\d+)", said)
    count = int(re.search(r"(\d+) requests in", said)[1])
    return Load(
        rate=float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]),
        p50=_read_latency(said, 50),
        p99=_read_latency(said, 99),
        failed=sum(int(status or socket) for status, socket in failed),
        cpu=used / max(count, 1) * 1e6,
    )


def ask_rows(connections: int, seconds: float, server: Server) -> Load:
    """Single rows of /predict, from wrk on its core; CPU time is that of the server's worker."""
    url = f"{server.url}/predict"
    return run_wrk(url, draw_instances(), connections, seconds, [server.pid], LOAD_CORE)


def _read_latency(said: str, percentile: int) -> float:
    number, unit = re.search(rf"{percentile}%\s+([\d.]+)(us|ms|s)", said).groups()
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def take_turns(
    servers: Mapping[Name, S], measure: Callable[[S], Load], rounds: int
) -> dict[Name, list[Load]]:
    """Measure all servers in each round: what else the machine does, it does to all of them."""
    measured = [
        {name: measure(server) for name, server in servers.items()}
        for _ in range(rounds + 1)  # the first is to warm up
    ]
    return {name: [each[name] for each in measured[1:]] for name in servers}


def summarize(rounds: Sequence[Load]) -> Load:
    """The medians, and how many requests failed in all."""
    rate, p50, p99, cpu = (
        statistics.median(getattr(load, figure) for load in rounds)
        for figure in ("rate", "p50", "p99", "cpu")
    )
    return Load(rate, p50, p99, sum(load.failed for load in rounds), cpu)


def say_failed(load: Load) -> str:
    return f" {load.failed} failed" if load.failed else ""


def compare_rates(ours: Sequence[Load], theirs: Sequence[Load]) -> list[float]:
    return [our.rate / their.rate for our, their in zip(ours, theirs, strict=True)]


def list_pids(pid: int) -> list[int]:
    """The process and its children, all the way down."""
    return [pid, *(child for child, _ in list_processes(pid))]


def read_cpu(pids: Iterable[int]) -> dict[int, float]:
    """Seconds of CPU time, user's and system's, of the processes that live."""
    seconds = {}
    for pid in pids:
        with suppress(OSError):
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            seconds[pid] = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def sum_cpu(since: dict[int, float]) -> float:
    """Seconds of CPU time since they were read."""
    return sum(seconds - since[pid] for pid, seconds in read_cpu(since).items())


def read_memory(pid: int) -> float:
    """Megabytes that are resident."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


@contextmanager
def watching_memory(pid: int) -> Iterator[list[float]]:
    """Megabytes of a process and its children, looked at from then on; shared pages count once."""
    looks: list[float] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            with suppress(OSError):  # a process has just ended
                looks.append(sum(map(_read_share, list_pids(pid))))
            stop.wait(SECONDS_BETWEEN_LOOKS)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield looks
    finally:
        stop.set()
        thread.join()


def _read_share(pid: int) -> float:
    """Megabytes; its part of the pages that several processes have; 0 once it has ended."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return int(rollup.partition("\nPss:")[2].split()[0]) * 1024 / 1e6
