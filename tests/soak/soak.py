"""Loads the backend with all kinds of requests while its world breaks, and counts what goes wrong.

    python tests/soak/soak.py --minutes 10

One backend as it ships, its journal in PostgreSQL, a shadow, a tracking server, and a folder of
models that changes. While callers of every kind ask, good and bad, slow and gone in the middle, one
thing after the other happens: models are published, sound ones and broken ones; the backend and its
journal's writer are killed, MLflow and the database restarted. Then the same with a journal in
SQLite, whose writer's files may not grow for a while (RLIMIT_FSIZE), as on a full disk. Each
prediction is compared with the pickle of the version it names, and with the journal. Exits with 1
if anything is wrong that must not be. MLflow takes part from half a minute on.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import cycle
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[2] / folder) for folder in ("tests", "bench"))
from callers import Callers
from load import read_memory
from processes import find_free_port, running_mlflow
from servers import running_postgresql
from shipped import Backend, Restartable, wait_for
from summary import Phase, Sample, list_flaws, report
from verdicts import Attempts, Judge, read_journal
from world import EventLog, Releases, World

POSTGRESQL_SHARE, SQLITE_SHARE = 0.8, 0.2  # of the time
KILLING_SHARE = 0.25  # of that, so that one process lives long enough to see whether it grows
SOME_KINDS = 10  # by then all callers are there
PAUSE_SECONDS = 3.0  # between events
TRACKING_MINUTES = 0.5
SAMPLE_SECONDS = 0.5


def run_phase(name: str, world: World, act: Callable[[], None]) -> Phase:
    """Under load from start to end; the backend is stopped before its journal is read."""
    backend, attempts = world.backend, Attempts(world.judge)
    samples: list[Sample] = []
    stop = threading.Event()
    sampler = threading.Thread(target=sample_until, args=(stop, backend, samples))
    before = backend.measure()
    sampler.start()
    with Callers(backend.port, attempts.take):
        wait_for(60, lambda: len(attempts.kinds) >= SOME_KINDS)
        act()
    stop.set()
    sampler.join()
    wait_for(30, lambda: backend.expose()["journal_lag_seconds"] == 0)
    after = backend.rest(before.descriptors)
    lost = int(backend.expose()["journal_lost_predictions_total"])
    backend.stop()
    kills = [restart.start for restart in world.restarts]
    journal = read_journal(backend.journal_url, attempts, kills)
    return Phase(name, world, attempts, journal, samples, before, after, lost)


def sample_until(stop: threading.Event, backend: Backend, samples: list[Sample]) -> None:
    while not stop.wait(SAMPLE_SECONDS):
        try:
            pid, writer = backend.pid, backend.find_writer()
            sizes = read_memory(pid), read_memory(writer) if writer else 0.0
            samples.append(Sample(time.monotonic(), pid, *sizes))
        except OSError:  # it has just been killed
            continue


def start_world(models_dir: Path, journal_url: str, log: EventLog) -> World:
    """With a model that is live, and one that is its shadow later."""
    releases = Releases(models_dir)
    releases.publish()
    backend = Backend(models_dir, journal_url, SHADOW="challenger")
    backend.start()
    return World(backend, releases, Judge(models_dir), log)


def run_with_postgresql(folder: Path, seconds: float, log: EventLog) -> Phase:
    with ExitStack() as stack:
        data, runs_dir = (
            Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)
        )
        database = Restartable(partial(running_postgresql, data, find_free_port()))
        tracking = Restartable(partial(running_mlflow, folder, runs_dir))
        stack.callback(database.stop)
        stack.callback(tracking.stop)
        world = start_world(folder, database.start(), log)
        events: list[Callable[[], None]] = [
            world.publish,
            world.publish_broken,
            world.kill_backend,
            world.publish,
            partial(world.restart_database, database),
            world.publish_broken,
            world.kill_writer,
        ]
        if seconds >= 60 * TRACKING_MINUTES * POSTGRESQL_SHARE:
            tracking.start()
            events.insert(5, partial(world.restart_tracking, tracking))
        return run_phase("PostgreSQL", world, partial(act_until, seconds, events, world))


def run_with_sqlite(folder: Path, seconds: float, log: EventLog) -> Phase:
    with tempfile.TemporaryDirectory() as journal:
        world = start_world(folder, f"sqlite:///{journal}/journal.db", log)
        events = [world.fill_disk, world.publish]
        return run_phase("SQLite", world, partial(act_until, seconds, events, world))


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
        time.sleep(min(PAUSE_SECONDS, seconds / 40))  # load alone, as between two events


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    seconds = 60 * parser.parse_args().minutes
    log, phases = EventLog(), []
    for run, share in ((run_with_postgresql, POSTGRESQL_SHARE), (run_with_sqlite, SQLITE_SHARE)):
        with tempfile.TemporaryDirectory() as folder:
            phases.append(run(Path(folder), share * seconds, log))
    report(phases, log.events)
    flaws = [flaw for phase in phases for flaw in list_flaws(phase)]
    flaws += [f"{event.what}: it did not happen" for event in log.events if event.seconds is None]
    sys.exit("\n".join(flaws) or 0)


if __name__ == "__main__":
    main()
