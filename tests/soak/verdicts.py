"""Says whether what was answered, and what was written of it, is right."""

import json
import threading
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
from callers import Attempt
from formats import ARROW, CSV, JSON, PARQUET
from questions import CLASSES, ROWS, SINGLE, AnsweredRows
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url

TOLERANCE = 1e-6
LOST_SECONDS = 1.0  # before a SIGKILL
BY_ROWS = {
    ROWS[CSV]: "/predict/batch, csv",
    ROWS[ARROW]: "/predict/batch, arrow",
    ROWS[PARQUET]: "/predict/batch, parquet",
    ROWS[JSON]: "/predict/batch, json",
    **{ROWS[kind]: kind for kind in ("/v2, JSON", "/v2, binary", "/v1")},
}


class Window(NamedTuple):
    """A time in which something was away, by the monotonic clock."""

    start: float
    end: float

    def meets(self, attempt: Attempt) -> bool:
        return attempt.started < self.end and attempt.ended > self.start


class Judge:
    """Compares predictions with the pickles of the versions they name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.broken: set[str] = set()  # versions that must not answer
        self._estimators: dict[str, Any] = {}
        self.rows = 0
        self.wrong: list[str] = []

    def check(self, found: list[AnsweredRows]) -> None:
        by_version: dict[str | None, list[AnsweredRows]] = defaultdict(list)
        for answered in found:
            self.rows += len(answered.rows)
            by_version[answered.version].append(answered)
        for answered in by_version.pop(None, []):
            self._check_any(answered)
        for version, of_version in by_version.items():
            self.wrong += self._compare(str(version), of_version)

    def _check_any(self, answered: AnsweredRows) -> None:
        """Of the version that was live, which is one of those that are published."""
        versions = [path.stem.removeprefix("model_") for path in self._folder.glob("*.pkl")]
        if all(self._compare(version, [answered]) for version in sorted(versions, reverse=True)):
            self.wrong.append(f"no version answers {answered.labels} to {answered.rows}")

    def _compare(self, version: str, found: list[AnsweredRows]) -> list[str]:
        estimator = self._load(version)
        if estimator is None:
            return [f"there is no version {version}"]
        expected = estimator.predict_proba([row for answered in found for row in answered.rows])
        answers = [answer for answered in found for answer in _list_answers(answered)]
        return [
            f"{version} answers {label} {named}, its pickle {wanted}"
            for (label, named), wanted in zip(answers, expected, strict=True)
            if not _agree(label, named, wanted)
        ]

    def _load(self, version: str) -> Any:
        """None if there is none, or it is broken."""
        path = self._folder / f"model_{version}.pkl"
        if version in self.broken or not path.exists():
            return None
        if version not in self._estimators:
            self._estimators[version] = joblib.load(path)
        return self._estimators[version]


def _list_answers(answered: AnsweredRows) -> list[tuple[str, dict[str, float]]]:
    named = answered.probabilities or [{}] * len(answered.labels)
    return list(zip(answered.labels, named, strict=True))


def _agree(label: str, named: dict[str, float], expected: np.ndarray) -> bool:
    wanted = dict(zip(CLASSES, expected.tolist(), strict=True))
    near = all(abs(wanted[name] - value) <= TOLERANCE for name, value in named.items())
    return near and label == CLASSES[int(expected.argmax())]


class Attempts:
    """Counts them as they come, from any thread, and keeps what is wanted at the end."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._lock = threading.Lock()
        self.kinds: Counter[str] = Counter()
        self.seconds: list[float] = []  # of plain predictions
        self.flawed: list[Attempt] = []
        self.singles: dict[str, tuple[float, AnsweredRows]] = {}  # when it was answered, by id
        self.tables: dict[str, list[float]] = defaultdict(list)  # when they were, by kind
        self.labels: dict[str, str] = {}

    def take(self, attempts: list[Attempt]) -> None:
        with self._lock:
            self._judge.check([attempt.answered for attempt in attempts if attempt.answered])
            for attempt in attempts:
                self._count(attempt)

    def _count(self, attempt: Attempt) -> None:
        self.kinds[attempt.kind] += 1
        if attempt.flaw:
            self.flawed.append(attempt)
            return
        if attempt.kind == SINGLE:
            self.seconds.append(attempt.ended - attempt.started)
        if attempt.label and attempt.status == 200:
            self.labels[attempt.label[0]] = attempt.label[1]
        if (answered := attempt.answered) is None:
            return
        if answered.identifier:
            self.singles[answered.identifier] = (attempt.ended, answered)
        elif attempt.kind in BY_ROWS.values():
            self.tables[attempt.kind].append(attempt.ended)


class Written(NamedTuple):
    """Of one kind: how many were answered, are written, and are lost, when they may be or not."""

    answered: int
    written: int
    excused: int
    lost: int


class JournalCheck(NamedTuple):
    """How what is written compares with what was answered."""

    singles: Written
    tables: dict[str, Written]
    wrong: list[str]
    excused: set[str]  # ids of what was lost around a SIGKILL


def read_journal(url: str, attempts: Attempts, kills: list[float]) -> JournalCheck:
    address = make_url(url)
    if address.get_backend_name() == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    engine = create_engine(address)
    with engine.connect() as connection:
        singles, wrong, excused = _compare_singles(connection, attempts, kills)
        tables = _compare_tables(connection, attempts, kills)
        wrong += _compare_labels(connection, attempts)
    engine.dispose()
    return JournalCheck(singles, tables, wrong, excused)


def _compare_singles(
    connection: Connection, attempts: Attempts, kills: list[float]
) -> tuple[Written, list[str], set[str]]:
    query = "SELECT id, model_version, prediction_class, inputs FROM predictions"
    rows = {row.id: row for row in connection.execute(text(f"{query} WHERE inputs IS NOT NULL"))}
    singles = attempts.singles
    lost = singles.keys() - rows.keys()
    excused = {identifier for identifier in lost if _is_excused(singles[identifier][0], kills)}
    wrong = [
        f"the journal has {rows[identifier]}, answered was {answered}"
        for identifier, (_, answered) in singles.items()
        if identifier in rows and _list_written(rows[identifier]) != _list_answered(answered)
    ]
    found = Written(len(singles), len(rows), len(excused), len(lost - excused))
    return found, wrong, excused


def _list_written(row: Any) -> tuple[str, str, list[float]]:
    return row.model_version, row.prediction_class, list(json.loads(row.inputs).values())


def _list_answered(answered: AnsweredRows) -> tuple[str | None, str, list[float]]:
    return answered.version, answered.labels[0], answered.rows[0]


def _compare_tables(
    connection: Connection, attempts: Attempts, kills: list[float]
) -> dict[str, Written]:
    """They have no ids their callers know; by how many rows they have, their kind is told."""
    query = "SELECT rows, count(*) AS tables FROM predictions WHERE inputs IS NULL GROUP BY rows"
    counts = {row.rows: row.tables for row in connection.execute(text(query))}
    found = {}
    for rows, kind in BY_ROWS.items():
        moments, written = attempts.tables[kind], counts.get(rows, 0)
        missing = max(len(moments) - written, 0)
        excused = min(missing, sum(_is_excused(moment, kills) for moment in moments))
        found[kind] = Written(len(moments), written, excused, missing - excused)
    return found


def _compare_labels(connection: Connection, attempts: Attempts) -> list[str]:
    query = text("SELECT prediction_id, label FROM feedback")
    kept = {row.prediction_id: row.label for row in connection.execute(query)}
    return [
        f"the label {label} of {identifier} was recorded, the journal has {kept.get(identifier)}"
        for identifier, label in attempts.labels.items()
        if kept.get(identifier) != label
    ]


def _is_excused(moment: float, kills: list[float]) -> bool:
    return any(kill - LOST_SECONDS <= moment <= kill + LOST_SECONDS for kill in kills)
