"""Says whether what was answered, and what was written of it, is right."""

import json
import threading
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
from asking import CLASSES, ROWS, SINGLE, Predicted
from callers import Outcome
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url

TOLERANCE = 1e-6
LOST_SECONDS = 1.0  # before a SIGKILL
BY_ROWS = {
    ROWS["text/csv"]: "/predict/batch, csv",
    ROWS["application/vnd.apache.arrow.stream"]: "/predict/batch, arrow",
    ROWS["application/vnd.apache.parquet"]: "/predict/batch, parquet",
    ROWS["application/json"]: "/predict/batch, json",
    **{ROWS[kind]: kind for kind in ("/v2, JSON", "/v2, binary", "/v1")},
}


class Window(NamedTuple):
    """A time in which something was away, by the monotonic clock."""

    start: float
    end: float

    def meets(self, outcome: Outcome) -> bool:
        return outcome.started < self.end and outcome.ended > self.start


class Judge:
    """Compares predictions with the pickles of the versions they name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.broken: set[str] = set()  # versions that must not answer
        self._estimators: dict[str, Any] = {}
        self.rows = 0
        self.wrong: list[str] = []

    def check(self, found: list[Predicted]) -> None:
        by_version: dict[str | None, list[Predicted]] = defaultdict(list)
        for it in found:
            by_version[it.version].append(it)
        for version, predicted in by_version.items():
            self.rows += sum(len(it.rows) for it in predicted)
            if version is None:
                for it in predicted:
                    self._check_any(it)
                continue
            self.wrong += self._compare(version, predicted)

    def _check_any(self, predicted: Predicted) -> None:
        """Of the version that was live, which is one of those that are published."""
        versions = sorted(it.stem.removeprefix("model_") for it in self._folder.glob("*.pkl"))
        if all(self._compare(it, [predicted]) for it in reversed(versions)):
            self.wrong.append(f"no version answers {predicted.labels} to {predicted.rows}")

    def _compare(self, version: str, predicted: list[Predicted]) -> list[str]:
        estimator = self._load(version)
        if estimator is None:
            return [f"there is no version {version}"]
        expected = estimator.predict_proba([row for it in predicted for row in it.rows])
        answers = [answer for it in predicted for answer in _list_answers(it)]
        return [
            f"{version} answers {label} {named}, its pickle {wanted}"
            for (label, named), wanted in zip(answers, expected, strict=True)
            if not _agree(label, named, wanted)
        ]

    def _load(self, version: str) -> Any:
        """None where there is none, or it is broken."""
        path = self._folder / f"model_{version}.pkl"
        if version in self.broken or not path.exists():
            return None
        if version not in self._estimators:
            self._estimators[version] = joblib.load(path)
        return self._estimators[version]


def _list_answers(predicted: Predicted) -> list[tuple[str, dict[str, float]]]:
    named = predicted.probabilities or [{}] * len(predicted.labels)
    return list(zip(predicted.labels, named, strict=True))


def _agree(label: str, named: dict[str, float], expected: np.ndarray) -> bool:
    wanted = dict(zip(CLASSES, expected.tolist(), strict=True))
    near = all(abs(wanted[name] - value) <= TOLERANCE for name, value in named.items())
    return near and label == CLASSES[int(expected.argmax())]


class Ledger:
    """Counts outcomes as they come, from any thread, and keeps what is wanted at the end."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._lock = threading.Lock()
        self.kinds: Counter[str] = Counter()
        self.seconds: list[float] = []  # of plain predictions
        self.faulty: list[Outcome] = []
        self.singles: dict[str, tuple[float, Predicted]] = {}  # when it was answered, by id
        self.tables: dict[str, list[float]] = defaultdict(list)  # when they were, by kind
        self.labels: dict[str, str] = {}

    def take(self, outcomes: list[Outcome]) -> None:
        with self._lock:
            self._judge.check([it.predicted for it in outcomes if it.predicted])
            for outcome in outcomes:
                self._count(outcome)

    def _count(self, outcome: Outcome) -> None:
        self.kinds[outcome.kind] += 1
        if outcome.fault:
            self.faulty.append(outcome)
            return
        if outcome.kind == SINGLE:
            self.seconds.append(outcome.ended - outcome.started)
        if outcome.label and outcome.status == 200:
            self.labels[outcome.label[0]] = outcome.label[1]
        if (predicted := outcome.predicted) is None:
            return
        if predicted.identifier:
            self.singles[predicted.identifier] = (outcome.ended, predicted)
        elif outcome.kind in BY_ROWS.values():
            self.tables[outcome.kind].append(outcome.ended)


class Written(NamedTuple):
    """Of one kind: how many were answered, are written, and are lost, when they may be or not."""

    answered: int
    written: int
    excused: int
    lost: int


class Journal(NamedTuple):
    singles: Written
    tables: dict[str, Written]
    wrong: list[str]
    excused: set[str]  # ids of what was lost around a SIGKILL


def read_journal(url: str, ledger: Ledger, kills: list[float]) -> Journal:
    """Compared with what was answered."""
    address = make_url(url)
    if address.get_backend_name() == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    engine = create_engine(address)
    with engine.connect() as connection:
        singles, wrong, excused = _compare_singles(connection, ledger, kills)
        tables = _compare_tables(connection, ledger, kills)
        wrong += _compare_labels(connection, ledger)
    engine.dispose()
    return Journal(singles, tables, wrong, excused)


def _compare_singles(
    connection: Connection, ledger: Ledger, kills: list[float]
) -> tuple[Written, list[str], set[str]]:
    query = "SELECT id, model_version, prediction_class, inputs FROM predictions"
    rows = {it.id: it for it in connection.execute(text(f"{query} WHERE inputs IS NOT NULL"))}
    lost = {it for it in ledger.singles if it not in rows}
    excused = {it for it in lost if _is_excused(ledger.singles[it][0], kills)}
    wrong = [
        f"the journal has {rows[it]}, answered was {predicted}"
        for it, (_, predicted) in ledger.singles.items()
        if it in rows and _tell(rows[it]) != _tell_answer(predicted)
    ]
    found = Written(len(ledger.singles), len(rows), len(excused), len(lost - excused))
    return found, wrong, excused


def _tell(row: Any) -> tuple[str, str, list[float]]:
    return row.model_version, row.prediction_class, list(json.loads(row.inputs).values())


def _tell_answer(predicted: Predicted) -> tuple[str | None, str, list[float]]:
    return predicted.version, predicted.labels[0], predicted.rows[0]


def _compare_tables(
    connection: Connection, ledger: Ledger, kills: list[float]
) -> dict[str, Written]:
    """They have no ids their callers know; by how many rows they have, their kind is told."""
    query = "SELECT rows, count(*) AS tables FROM predictions WHERE inputs IS NULL GROUP BY rows"
    counts = {it.rows: it.tables for it in connection.execute(text(query))}
    found = {}
    for rows, kind in BY_ROWS.items():
        moments, written = ledger.tables[kind], counts.get(rows, 0)
        missing = max(len(moments) - written, 0)
        excused = min(missing, sum(_is_excused(it, kills) for it in moments))
        found[kind] = Written(len(moments), written, excused, missing - excused)
    return found


def _compare_labels(connection: Connection, ledger: Ledger) -> list[str]:
    query = text("SELECT prediction_id, label FROM feedback")
    kept = {it.prediction_id: it.label for it in connection.execute(query)}
    return [
        f"the label {label} of {it} was recorded, the journal has {kept.get(it)}"
        for it, label in ledger.labels.items()
        if kept.get(it) != label
    ]


def _is_excused(moment: float, kills: list[float]) -> bool:
    return any(kill - LOST_SECONDS <= moment <= kill + LOST_SECONDS for kill in kills)
