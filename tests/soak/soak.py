"""Loads the backend with all kinds of requests while its world breaks, and counts what goes wrong.

    python tests/soak/soak.py --minutes 10

One backend as it ships, its journal in PostgreSQL, a shadow, a tracking server, and a folder of
models that changes. While callers of every kind ask, good and bad, slow and gone in the middle, one
thing after the other happens: models are published, sound ones and broken ones; the backend and its
journal's writer are killed, MLflow and the database restarted. Then the same with a journal in
SQLite, no file of whose writer may grow for a while (RLIMIT_FSIZE), as on a full disk. Each
prediction is compared with the pickle of the version it names, and with the journal. Exits with 1
where anything is wrong that must not be. MLflow takes part from half a minute on.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[2] / folder) for folder in ("tests", "bench"))
from callers import Callers
from load import read_memory
from shipped import Backend, wait_for
from summary import Phase, Sample, list_faults, report
from verdicts import Judge, Ledger, read_journal
from world import Log, PostgreSQL, Publisher, Tracking, World

POSTGRESQL_SHARE, SQLITE_SHARE = 0.8, 0.2  # of the time
KILLING_SHARE = 0.25  # of that, so that one process lives long enough to see whether it grows
SOME_KINDS = 10  # by then all callers are there
PAUSE_SECONDS = 3.0  # between events
TRACKING_MINUTES = 0.5
SAMPLE_SECONDS = 0.5


def run_phase(name: str, world: World, judge: Judge, act: Callable[[], None]) -> Phase:
    """Under load from start to end; the backend is stopped before its journal is read."""
    backend, ledger = world.backend, Ledger(judge)
    samples: list[Sample] = []
    stop = threading.Event()
    sampler = threading.Thread(target=sample_until, args=(stop, backend, samples))
    before = backend.measure()
    sampler.start()
    with Callers(backend.port, ledger.take):
        wait_for(60, lambda: len(ledger.kinds) >= SOME_KINDS)
        act()
    stop.set()
    sampler.join()
    wait_for(30, lambda: backend.expose()["journal_lag_seconds"] == 0)
    after = backend.rest(before.descriptors)
    lost = int(backend.expose()["journal_lost_predictions_total"])
    backend.stop()
    journal = read_journal(backend.journal_url, ledger, [it.start for it in world.restarts])
    return Phase(name, world, ledger, journal, samples, before, after, lost)


def sample_until(stop: threading.Event, backend: Backend, samples: list[Sample]) -> None:
    while not stop.wait(SAMPLE_SECONDS):
        try:
            pid, writer = backend.pid, backend.find_writer()
            sizes = read_memory(pid), read_memory(writer) if writer else 0.0
            samples.append(Sample(time.monotonic(), pid, *sizes))
        except OSError:  # it has just been killed
            continue


def run_with_postgresql(folder: Path, seconds: float, log: Log) -> Phase:
    judge, publisher = Judge(folder), Publisher(folder)
    publisher.publish()
    tracking = Tracking(folder) if seconds >= 60 * TRACKING_MINUTES * POSTGRESQL_SHARE else None
    with PostgreSQL() as database:
        backend = Backend(folder, database.url, SHADOW="challenger")
        world = World(backend, publisher, judge, log)
        backend.start()
        events = [
            world.publish,
            world.publish_broken,
            world.kill_backend,
            world.publish,
            lambda: world.restart_database(database),
            world.publish_broken,
            world.kill_writer,
        ]
        if tracking:
            tracking.start()
            events.insert(5, lambda: world.restart_tracking(tracking))
        phase = run_phase("PostgreSQL", world, judge, lambda: act_until(seconds, events, world))
        if tracking:
            tracking.stop()
    return phase


def act_until(seconds: float, events: list[Callable[[], None]], world: World) -> None:
    """One event after the other, each at least once."""
    started = time.monotonic()
    for number, event in enumerate(cycle(events)):
        passed, is_first = time.monotonic() - started, number < len(events)
        if passed > seconds and not is_first:
            return
        if event == world.kill_backend and passed > KILLING_SHARE * seconds and not is_first:
            continue
        event()
        time.sleep(min(PAUSE_SECONDS, seconds / 40))  # of load without a fault


def run_with_sqlite(folder: Path, seconds: float, log: Log) -> Phase:
    judge, publisher = Judge(folder), Publisher(folder)
    publisher.publish()
    with tempfile.TemporaryDirectory() as journal:
        backend = Backend(folder, f"sqlite:///{journal}/journal.db", SHADOW="challenger")
        world = World(backend, publisher, judge, log)
        backend.start()
        events = [world.fill_disk, world.publish]
        return run_phase("SQLite", world, judge, lambda: act_until(seconds, events, world))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    seconds = 60 * parser.parse_args().minutes
    log, phases = Log(), []
    for run, share in ((run_with_postgresql, POSTGRESQL_SHARE), (run_with_sqlite, SQLITE_SHARE)):
        with tempfile.TemporaryDirectory() as folder:
            phases.append(run(Path(folder), share * seconds, log))
    report(phases, log.events)
    faults = [fault for phase in phases for fault in list_faults(phase)]
    faults += [f"{it.what}: it did not happen" for it in log.events if it.seconds is None]
    sys.exit("\n".join(faults) or 0)


if __name__ == "__main__":
    main()
