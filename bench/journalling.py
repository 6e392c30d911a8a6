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
from pathlib import Path

from load import Load, draw_instances, list_processes, read_memory, require_wrk, run_wrk
from models import dump, fit, publish
from single_rows import LAUNCHER, LOAD_CORE, serving

ROUNDS = 9
SECONDS = 3
CONNECTIONS = 32
SETTINGS = {
    "no journal": {"JOURNAL": "off"},
    "journal": {},
    "journal and shadow": {"SHADOW": "challenger"},
}


def measure(servers: dict[str, tuple[str, int]]) -> dict[str, list[Load]]:
    bodies = draw_instances()
    loads: dict[str, list[Load]] = {name: [] for name in servers}
    for number in range(ROUNDS + 1):
        for name, (url, pid) in servers.items():
            load = run_wrk(url, bodies, CONNECTIONS, SECONDS, [pid], LOAD_CORE)
            if number:  # the first is to warm up
                loads[name].append(load)
    return loads


def report(loads: dict[str, list[Load]]) -> None:
    print("| | requests/s | of no journal | by round | CPU µs of the worker | p50 ms | p99 ms |")
    print("| --- | ---: | ---: | --- | ---: | ---: | ---: |")
    for name, rounds in loads.items():
        pairs = zip(rounds, loads["no journal"], strict=True)
        ratios = [ours.rate / plain.rate for ours, plain in pairs]
        rate, cpu, p50, p99 = (
            statistics.median(getattr(it, figure) for it in rounds)
            for figure in ("rate", "cpu", "p50", "p99")
        )
        by_round = " ".join(f"{it:.2f}" for it in ratios)
        print(
            f"| {name} | {rate:,.0f} | {statistics.median(ratios):.3f} | {by_round} | {cpu:.1f} |"
            f" {p50:.2f} | {p99:.2f} |"
        )


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        models_dir = Path(directory)
        for number, estimator in enumerate(("forest of 200", "logistic regression")):
            moment = datetime.now(UTC) + timedelta(seconds=number)
            publish(dump(fit(estimator)), models_dir, moment)
        servers = {
            name: stack.enter_context(
                serving(LAUNCHER, "backend", "/health/ready", MODELS_DIR=models_dir, **settings)
            )
            for name, settings in SETTINGS.items()
        }
        report(measure(servers))
        print()
        for name, (_, pid) in servers.items():
            processes = [read_memory(it) for it in list_processes(pid)]
            print(f"{name}: {' + '.join(f'{it:.0f}' for it in processes)} MB resident")


if __name__ == "__main__":
    require_wrk()
    main()
