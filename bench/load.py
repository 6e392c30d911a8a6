"""Makes load with wrk, and says what it cost."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

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


def draw_instances(count: int = 1_000) -> list[dict[str, float]]:
    """Irises as people type them, no two alike on purpose."""
    low, high = np.array([4.3, 2.0, 1.0, 0.1]), np.array([7.9, 4.4, 6.9, 2.5])
    rows = np.random.default_rng(0).uniform(low, high, (count, 4)).round(1).tolist()
    names = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    return [dict(zip(names, row, strict=True)) for row in rows]


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
        used = read_cpu(pids) - before
    failed = re.findall(r"Non-2xx.*: (\d+)|(?:connect|read|write|timeout) (\d+)", said)
    requests = int(re.search(r"(\d+) requests in", said)[1])
    return Load(
        rate=float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]),
        p50=_read_latency(said, 50),
        p99=_read_latency(said, 99),
        failed=sum(int(a or b) for a, b in failed),
        cpu=used / max(requests, 1) * 1e6,
    )


def list_processes(pid: int) -> list[int]:
    """The process and its children, all the way down."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [child for task in tasks for child in task.read_text().split()]
    return [pid, *(it for child in children for it in list_processes(int(child)))]


def read_cpu(pids: Sequence[int]) -> float:
    """Seconds of CPU time, user's and system's."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(it[11]) + int(it[12]) for it in fields) / os.sysconf("SC_CLK_TCK")


def read_memory(pid: int) -> float:
    """Megabytes that are resident."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def require_wrk() -> None:
    if not shutil.which("wrk"):
        sys.exit("wrk makes the load, and is not there. On Debian and Ubuntu: apt install wrk")


def _read_latency(said: str, percentile: int) -> float:
    number, unit = re.search(rf"{percentile}%\s+([\d.]+)(us|ms|s)", said).groups()
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]
