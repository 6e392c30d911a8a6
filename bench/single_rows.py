"""Measures how close /predict comes to the fastest server that Python can be.

    make bench

One worker on one core, wrk on another. A bare ASGI app and FastAPI, both returning a constant, take
turns with the backend as it ships, for a linear model and a forest, so that whatever else the
machine does it does to all. Printed: medians of the rounds, and ratios within each round.
"""

import statistics
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import load
from models import ESTIMATORS, dump, fit, publish

ROUNDS = 7
SECONDS = 3
BARE, FASTAPI = "bare ASGI app", "FastAPI, a constant"


def report(connections: int, loads: dict[str, list[load.Load]]) -> None:
    print(f"\n**{connections} connection{'s' * (connections > 1)}**\n")
    print("| server | requests/s | of the bare app | of FastAPI | CPU µs | p50 ms | p99 ms |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, rounds in loads.items():
        of_bare, of_fastapi = (
            statistics.median(load.compare_rates(rounds, loads[limit])) for limit in (BARE, FASTAPI)
        )
        middle = load.summarize(rounds)
        print(
            f"| {name} | {middle.rate:,.0f} | {of_bare:.2f} | {of_fastapi:.2f} | {middle.cpu:.0f} |"
            f" {middle.p50:.2f} | {middle.p99:.2f} |{load.say_failed(middle)}"
        )
    for name in ESTIMATORS:
        ratios = load.compare_rates(loads[name], loads[BARE])
        print(f"\n{name}, by round: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")


def measure_workers() -> None:
    """One worker and two, on both cores, which they share with wrk."""

    def measure_all(server: load.Server) -> load.Load:
        url, pids = f"{server.url}/predict", load.list_pids(server.pid)
        return load.run_wrk(url, load.draw_instances(), 64, SECONDS, pids)

    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        publish(dump(fit("logistic regression")), Path(folder))
        servers = {
            workers: stack.enter_context(
                load.serving_backend(folder, cores="0,1", WEB_CONCURRENCY=workers)
            )
            for workers in (1, 2)
        }
        loads = load.take_turns(servers, measure_all, ROUNDS)
    pairs = zip(loads[1], loads[2], strict=True)
    raw = statistics.median(load.compare_rates(loads[2], loads[1]))
    own = statistics.median(2 * one.cpu / two.cpu for one, two in pairs)
    print(
        f"\nTwo workers, 64 connections: {raw:.2f} of the rate of one while wrk takes its part of"
        f" the same two cores; {own:.2f} by the CPU time that a request costs the workers"
    )


def main() -> None:
    measure_workers()
    with ExitStack() as stack:
        servers = {
            BARE: stack.enter_context(load.serving(load.BARE, "bench/peers", "/")),
            FASTAPI: stack.enter_context(load.serving(load.FASTAPI, "bench/peers", "/predict")),
        }
        for name in ESTIMATORS:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            publish(dump(fit(name)), Path(folder))
            servers[name] = stack.enter_context(load.serving_backend(folder))
        for connections in (1, 32):
            ask = partial(load.ask_rows, connections, SECONDS)
            report(connections, load.take_turns(servers, ask, ROUNDS))
        print()
        for name in ESTIMATORS:
            print(f"{name}: {load.read_memory(servers[name].pid):.0f} MB resident")


if __name__ == "__main__":
    load.require_wrk()
    main()
