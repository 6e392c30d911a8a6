"""Measures what the journal and the shadow cost /predict.

    make bench

Three backends take turns: one that keeps no journal, one with a journal in SQLite, one whose
second-best model answers too. Each worker has a core, and wrk the other one, which it shares with
the process that writes the journal. Printed: medians of the rounds, and ratios within each round.
"""

import statistics
import tempfile
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import load
from models import dump, fit, publish

ROUNDS = 9
SECONDS = 3
CONNECTIONS = 32
SETTINGS = {
    "no journal": {"JOURNAL": "off"},
    "journal": {},
    "journal and shadow": {"SHADOW": "challenger"},
}


def report(loads: dict[str, list[load.Load]]) -> None:
    print("| | requests/s | of no journal | by round | CPU µs of the worker | p50 ms | p99 ms |")
    print("| --- | ---: | ---: | --- | ---: | ---: | ---: |")
    for name, rounds in loads.items():
        ratios = load.compare_rates(rounds, loads["no journal"])
        by_round = " ".join(f"{ratio:.2f}" for ratio in ratios)
        middle = load.summarize(rounds)
        print(
            f"| {name} | {middle.rate:,.0f} | {statistics.median(ratios):.3f} | {by_round} |"
            f" {middle.cpu:.1f} | {middle.p50:.2f} | {middle.p99:.2f} |"
        )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for number, estimator in enumerate(("forest of 200", "logistic regression")):
            moment = datetime.now(UTC) + timedelta(seconds=number)
            publish(dump(fit(estimator)), Path(folder), moment)
        servers = {
            name: stack.enter_context(load.serving_backend(folder, **settings))
            for name, settings in SETTINGS.items()
        }
        ask = partial(load.ask_rows, CONNECTIONS, SECONDS)
        report(load.take_turns(servers, ask, ROUNDS))
        print()
        for name, server in servers.items():
            processes = [load.read_memory(pid) for pid in load.list_pids(server.pid)]
            print(f"{name}: {' + '.join(f'{size:.0f}' for size in processes)} MB resident")


if __name__ == "__main__":
    load.require_wrk()
    main()
