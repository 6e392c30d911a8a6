"""Changes models, and breaks what the backend stands on, one thing at a time."""

import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import requests
from models import ESTIMATORS, dump, publish
from shipped import Backend, Restartable, wait_for
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from verdicts import Judge, Window

LIVE_SECONDS = 30  # most of them are taken by the load on the same cores
MENDED_SECONDS = 30
AWAY_SECONDS = [2.0, 12.0, 5.0]  # in turn; feedback waits ten for its prediction to be written
LAG_SECONDS = 0.5
FULL_BYTES = 50_000  # no file of the writer's may grow beyond

KINDS = {**ESTIMATORS, "naive Bayes": GaussianNB(), "nearest neighbours": KNeighborsClassifier()}


class Event(NamedTuple):
    what: str
    seconds: float | None  # None if what should have happened did not


class Danger:
    """Its pickle calls what none may."""

    def __reduce__(self) -> tuple[Callable[[], int], tuple[()]]:
        return os.getpid, ()


class Releases:
    """Publishes good models, no two alike, and broken ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._last = datetime.now(UTC) - timedelta(hours=1)
        self._kinds = cycle(KINDS)
        self._ways = cycle(
            [self._truncate, self._forge, self._garble, self._regress, self._endanger]
        )
        self._count = 0

    def publish(self) -> tuple[str, str]:
        """The new version, and what it is; of two thirds of the table, others each time."""
        kind = next(self._kinds)
        return publish(self._fit(kind), self.folder, self._next_moment()), kind

    def publish_broken(self) -> tuple[str, str]:
        """The version that has to be refused, and why."""
        break_it = next(self._ways)
        return break_it(self._next_moment()), break_it.__name__.lstrip("_")

    def _fit(self, kind: str) -> bytes:
        iris, self._count = load_iris(), self._count + 1
        names = iris.target_names[iris.target]
        X, _, y, _ = train_test_split(
            iris.data, names, train_size=100, stratify=names, random_state=self._count
        )
        return dump(clone(KINDS[kind]).fit(X, y))

    def _next_moment(self) -> datetime:
        self._last += timedelta(seconds=1)
        return self._last

    def _truncate(self, moment: datetime) -> str:
        pickled = self._fit("logistic regression")
        return publish(pickled[: len(pickled) // 2], self.folder, moment)

    def _forge(self, moment: datetime) -> str:
        """Not the pickle of the manifest, which is there first."""
        good, other = self._fit("naive Bayes"), self._fit("naive Bayes")
        with tempfile.TemporaryDirectory(dir=self.folder) as hidden:
            version = publish(good, Path(hidden), moment)
            (Path(hidden) / f"model_{version}.pkl").write_bytes(other)
            for suffix in ("json", "pkl"):
                name = f"model_{version}.{suffix}"
                (Path(hidden) / name).rename(self.folder / name)
        return version

    def _garble(self, moment: datetime) -> str:
        """A manifest that is not JSON."""
        version = f"{moment:%Y_%m_%d_T%H_%M_%S}"
        (self.folder / f"model_{version}.json").write_text('{"format": 1, ')
        (self.folder / f"model_{version}.pkl").write_bytes(self._fit("naive Bayes"))
        return version

    def _regress(self, moment: datetime) -> str:
        iris = load_iris()
        return publish(dump(LinearRegression().fit(iris.data, iris.target)), self.folder, moment)

    def _endanger(self, moment: datetime) -> str:
        return publish(dump(Danger()), self.folder, moment)


class EventLog:
    """Each event is said at once, with the time since the start."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._started = time.monotonic()

    def add(self, what: str, seconds: float | None, more: str = "") -> None:
        self.events.append(Event(what, seconds))
        lasted = "it did not happen" if seconds is None else f"{seconds:.1f} s"
        now = time.monotonic() - self._started
        print(f"{now:7.1f} s  {what}: {lasted} {more}".rstrip(), file=sys.stderr)


class World:
    """A backend and what is around it: each method is an event, and some open a window."""

    def __init__(self, backend: Backend, releases: Releases, judge: Judge, log: EventLog) -> None:
        self.backend = backend
        self.restarts: list[Window] = []
        self.journal_away: list[Window] = []
        self._releases = releases
        self.judge = judge
        self._log = log
        self._away_seconds = cycle(AWAY_SECONDS)

    def publish(self) -> None:
        version, kind = self._releases.publish()
        seconds = wait_for(LIVE_SECONDS, lambda: self._find_live() == version)
        self._log.add("a good model is published, until it is live", seconds, f"{version} {kind}")

    def publish_broken(self) -> None:
        live = self._find_live()
        version, way = self._releases.publish_broken()
        self.judge.broken.add(version)
        seconds = wait_for(LIVE_SECONDS, lambda: self._find_state(version) == "refused")
        if self._find_live() != live:
            seconds = None
        what = "a broken model is published, until it is refused"
        self._log.add(what, seconds, f"{version} {way}")

    def kill_backend(self) -> None:
        """Once the journal has all but the last moment, so that what is lost is of that."""
        wait_for(MENDED_SECONDS, self._is_written)
        started = time.monotonic()
        self.backend.kill()
        self.backend.start()
        self.restarts.append(Window(started, time.monotonic()))
        seconds = time.monotonic() - started
        self._log.add("the backend is killed and started, until it is ready", seconds)

    def kill_writer(self) -> None:
        before = self.backend.find_writer()
        with self._without_journal():
            os.kill(before, signal.SIGKILL)
            found = wait_for(MENDED_SECONDS, lambda: self.backend.find_writer() not in (0, before))
            seconds = found and wait_for(MENDED_SECONDS, self._is_written)
        self._log.add("the journal's writer is killed, until all is written", seconds)

    def restart_database(self, database: Restartable) -> None:
        noticed, mended = self._lose_journal(database.stop, database.start)
        self._log.add("the database is stopped, until it is noticed", noticed)
        self._log.add("the database is started, until all is written", mended)

    def restart_tracking(self, tracking: Restartable) -> None:
        started = time.monotonic()
        tracking.stop()
        tracking.start()
        self._log.add("MLflow is stopped and started", time.monotonic() - started)

    def fill_disk(self) -> None:
        """Of the writer alone, for a while."""
        limit = partial(resource.prlimit, self.backend.find_writer(), resource.RLIMIT_FSIZE)
        before = limit()
        noticed, mended = self._lose_journal(lambda: limit((FULL_BYTES, -1)), lambda: limit(before))
        self._log.add("the journal's disk is full, until it is noticed", noticed)
        self._log.add("it has room again, until all is written", mended)

    def _lose_journal(
        self, take: Callable[[], object], give_back: Callable[[], object]
    ) -> tuple[float | None, float | None]:
        """Seconds until it is noticed, and until all is written after."""
        with self._without_journal():
            take()
            noticed = wait_for(MENDED_SECONDS, self._is_away)
            time.sleep(next(self._away_seconds))  # the outage itself
            give_back()
            return noticed, wait_for(MENDED_SECONDS, self._is_written)

    @contextmanager
    def _without_journal(self) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.journal_away.append(Window(started, time.monotonic()))

    def _find_live(self) -> str:
        said = requests.get(f"{self.backend.url}/health/ready", timeout=30).json()
        return str(said["model_version"])

    def _find_state(self, version: str) -> str:
        said = requests.get(f"{self.backend.url}/models/{version}", timeout=30)
        return str(said.json()["state"]) if said.ok else ""

    def _is_away(self) -> bool:
        return self.backend.expose()["journal_up"] == 0

    def _is_written(self) -> bool:
        exposed = self.backend.expose()
        return exposed["journal_up"] == 1 and exposed["journal_lag_seconds"] < LAG_SECONDS
