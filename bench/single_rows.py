"""Measures how close /predict comes to the fastest server that Python can be.

    make bench

One worker on one core, wrk on another. A bare ASGI app and FastAPI, both returning a constant, take
turns with the backend as it ships, for a linear model and a forest, so that whatever else the
machine does it does to all. Printed: medians of the rounds, and ratios within each round.
"""

import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import load
import requests
from load import Load, draw_instances, read_memory, require_wrk, run_wrk
from models import ESTIMATORS, dump, fit, publish

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from processes import find_free_port, list_processes, running, wait_until

ROUNDS = 7
SECONDS = 3
SERVER_CORE, LOAD_CORE = "0", "1"
UVICORN = ["-m", "uvicorn", "--no-access-log", "--no-server-header", "--timeout-keep-alive", "75"]
LAUNCHER = ["serve.py"]


@contextmanager
def serving(
    program: list[str], folder: str, path: str, cores: str = SERVER_CORE, **settings: object
) -> Iterator[tuple[str, int]]:
    """Its address and process on the server's core, once it answers a GET of the path."""
    port = find_free_port()
    command = ["taskset", "-c", cores, sys.executable, *program, "--port", str(port)]
    with tempfile.TemporaryDirectory() as journal, Path(os.devnull).open("w") as log:
        variables = {"JOURNAL_URL": f"sqlite:///{journal}/journal.db"} | settings
        with running(command, folder, log, **variables) as process:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: requests.get(url + path, timeout=5).status_code in (200, 405))
            leave_core(process.pid)
            yield f"{url}/predict", process.pid


def leave_core(pid: int) -> None:
    """The process that writes the journal takes the other one, as it would where there are more."""
    for process, command in list_processes(pid):
        if "journal.writer" in command:
            os.sched_setaffinity(process, {int(LOAD_CORE)})


def measure(connections: int, bodies: list, servers: dict) -> dict[str, list[Load]]:
    loads: dict[str, list[Load]] = {name: [] for name in servers}
    for number in range(ROUNDS + 1):
        for name, (url, pid) in servers.items():
            load = run_wrk(url, bodies, connections, SECONDS, [pid], LOAD_CORE)
            if number:  # the first is to warm up
                loads[name].append(load)
    return loads


def report(connections: int, loads: dict[str, list[Load]]) -> None:
    print(f"\n**{connections} connection{'s' * (connections > 1)}**\n")
    print("| server | requests/s | of the bare app | of FastAPI | CPU µs | p50 ms | p99 ms |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, rounds in loads.items():
        failed = sum(it.failed for it in rounds)
        of = [
            statistics.median(a.rate / b.rate for a, b in zip(rounds, loads[limit], strict=True))
            for limit in ("bare ASGI app", "FastAPI, a constant")
        ]
        rate, cpu, p50, p99 = (
            statistics.median(getattr(it, figure) for it in rounds)
            for figure in ("rate", "cpu", "p50", "p99")
        )
        print(
            f"| {name} | {rate:,.0f} | {of[0]:.2f} | {of[1]:.2f} | {cpu:.0f} | {p50:.2f} |"
            f" {p99:.2f} |" + f" {failed} failed" * bool(failed)
        )
    for name in ESTIMATORS:
        pairs = zip(loads[name], loads["bare ASGI app"], strict=True)
        print(f"\n{name}, by round: {', '.join(f'{a.rate / b.rate:.2f}' for a, b in pairs)}")


def measure_workers(bodies: list) -> None:
    """One worker and two, on both cores, which they share with wrk."""
    rates: dict[int, list[Load]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        publish(dump(fit("logistic regression")), Path(folder), datetime.now(UTC))
        servers = {
            workers: stack.enter_context(
                serving(
                    LAUNCHER,
                    "backend",
                    "/health/ready",
                    cores="0,1",
                    MODELS_DIR=folder,
                    WEB_CONCURRENCY=workers,
                )
            )
            for workers in rates
        }
        for _ in range(ROUNDS):
            for workers, (url, pid) in servers.items():
                rates[workers].append(run_wrk(url, bodies, 64, SECONDS, load.list_processes(pid)))
    pairs = list(zip(rates[2], rates[1], strict=True))
    raw = statistics.median(two.rate / one.rate for two, one in pairs)
    own = statistics.median(2 * one.cpu / two.cpu for two, one in pairs)
    print(
        f"\nTwo workers, 64 connections: {raw:.2f} of the rate of one while wrk takes its part of"
        f" the same two cores; {own:.2f} by the CPU time that a request costs the workers"
    )


def main() -> None:
    bodies = draw_instances()
    measure_workers(bodies)
    with ExitStack() as stack:
        servers = {
            "bare ASGI app": stack.enter_context(serving([*UVICORN, "limits:bare"], "bench", "/")),
            "FastAPI, a constant": stack.enter_context(
                serving([*UVICORN, "limits:fastapi"], "bench", "/predict")
            ),
        }
        for name in ESTIMATORS:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            publish(dump(fit(name)), directory, datetime.now(UTC))
            servers[name] = stack.enter_context(
                serving(LAUNCHER, "backend", "/health/ready", MODELS_DIR=directory)
            )
        for connections in (1, 32):
            report(connections, measure(connections, bodies, servers))
        print()
        for name in ESTIMATORS:
            print(f"{name}: {read_memory(servers[name][1]):.0f} MB resident")


if __name__ == "__main__":
    require_wrk()
    main()
