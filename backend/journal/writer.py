"""Writes the journal, in a process of its own so that a prediction never waits for a database."""

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from multiprocessing.connection import Connection
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from sqlalchemy import Table
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from binning import ModelBins
from identifiers import read_milliseconds
from journal.database import Database, models, predictions, say, tallies
from journal.messages import Delivery, Receipt, Record, Row, Singles, TableEntry, join
from journal.retention import Retention
from journal.rows import compare, describe, describe_model, describe_table
from journal.tally import COARSE, FINE, Counted, Period, Tally, count_classes
from logs import set_up_logs
from schemas import Description
from settings import Settings

if TYPE_CHECKING:
    from journal.shadow import Shadow

log = logging.getLogger(__name__)

Key = tuple[str, Period, int]  # version, period and its start
IDLE_SECONDS = 1.0  # without predictions; what is old is forgotten all the same
KEPT_SECONDS = 2 * COARSE.seconds  # of counts in memory, in case predictions come late


class Batch(NamedTuple):
    """Predictions of one version."""

    version: str
    rows: list[Row]


class Writer:
    """One worker's writer; the rows it counts in are its own."""

    def __init__(self, settings: Settings) -> None:
        self._database = Database(settings.journal_url)
        self._retention = Retention(self._database, settings.journal_retention_days)
        self._shadow = _start_shadow(settings)
        self._name = uuid4().hex
        self._descriptions: dict[str, Description] = {}
        self._bins: dict[str, ModelBins] = {}
        self._tallies: dict[Key, Tally] = {}
        self._has_told = False

    def write(self, delivery: Delivery) -> Receipt:
        """All of it, or nothing."""
        try:
            self._learn(delivery.descriptions)
            self._write(delivery)
        except (DataError, IntegrityError) as error:  # it would be so again
            return _give_up(delivery, error)
        except SQLAlchemyError as error:
            self._has_told = False  # another database may be in its place
            return Receipt(trouble=say(error))
        except OSError as error:
            return Receipt(trouble=say(error))
        except Exception as error:  # whatever it is, what comes after has to be written
            return _give_up(delivery, error)
        self.tidy()
        return Receipt()

    def tidy(self) -> None:
        """Forget what is old enough, where it is time for that."""
        self._retention.tidy(time())

    def _learn(self, descriptions: dict[str, Description]) -> None:
        for version, description in descriptions.items():
            if self._descriptions.get(version) == description:
                continue
            self._descriptions[version] = description
            self._bins[version] = ModelBins(description.features)
            # Of a model.pkl that was replaced what was counted has other features, or classes.
            self._tallies = {key: it for key, it in self._tallies.items() if key[0] != version}

    def _write(self, delivery: Delivery) -> None:
        rows: list[dict[str, Any]] = []
        counts = dict(self._tallies)
        for batch in _gather(delivery.records):
            description = self._descriptions[batch.version]
            if isinstance(batch, TableEntry):
                written, counted = [describe_table(batch, description)], batch.counted
            else:
                written, counted = self._read(batch, delivery)
            rows += written
            for key in _keys(batch.version, written[0]["id"]):
                counts[key] = (counts.get(key) or Tally(description)).plus(counted)
        changed = {key: it for key, it in counts.items() if it is not self._tallies.get(key)}
        known = [] if self._has_told else list(self._descriptions.values())
        self._insert(rows, changed, known or list(delivery.descriptions.values()))
        # After a day without a database, too, what is counted has to be there to be added to.
        oldest = min(time(), *(it.moment for it in delivery.records)) - KEPT_SECONDS
        self._tallies = {key: it for key, it in counts.items() if key[2] > oldest}
        self._has_told = True

    def _read(self, batch: Batch, delivery: Delivery) -> tuple[list[dict[str, Any]], Counted]:
        description = self._descriptions[batch.version]
        values = [row[3] for row in batch.rows]
        shadow, answers = None, None
        if self._shadow and batch.version == delivery.live_version:
            shadow, answers = self._shadow.answer(description, values, delivery.is_behind)
        written = list(describe(batch.rows, description, shadow, answers))
        shadows = compare(shadow, written, len(values))
        classes = count_classes(description, [row[1] for row in batch.rows])
        features = self._bins[batch.version].count_instances(values)
        return written, Counted(features, classes, shadows)

    def _insert(
        self, rows: list[dict[str, Any]], counts: dict[Key, Tally], known: list[Description]
    ) -> None:
        counted = [
            {
                "model_version": version,
                "period": period.name,
                "start": start,
                "writer": self._name,
                "counts": tally.write(),
            }
            for (version, period, start), tally in counts.items()
        ]
        described = [describe_model(it) for it in sorted(known, key=lambda it: it.version)]
        with self._database.begin() as connection:
            if described:
                connection.execute(self._replace(models), described)
            if rows:  # those that came through before the answer was lost are there already
                again = self._database.insert(predictions).on_conflict_do_nothing()
                connection.execute(again, rows)
            connection.execute(self._replace(tallies), counted)

    def _replace(self, table: Table) -> Any:
        """An insert that takes the place of what is there."""
        insert = self._database.insert(table)
        keys = table.primary_key.columns
        values = {it.name: insert.excluded[it.name] for it in table.columns if it.name not in keys}
        return insert.on_conflict_do_update(index_elements=keys, set_=values)


def _start_shadow(settings: Settings) -> "Shadow | None":
    if settings.shadow == "off":
        return None
    # scikit-learn and all that loads a model: a hundred megabytes that only this needs.
    from journal.shadow import Shadow  # noqa: PLC0415

    return Shadow(settings)


def _gather(records: list[Record]) -> Iterator[Batch | TableEntry]:
    """Those that follow each other, of one version and one stretch of time, are counted at once."""
    for _, found in groupby(records, key=_sort):
        first, *others = found
        if isinstance(first, TableEntry):
            yield from (first, *(it for it in others if isinstance(it, TableEntry)))
        else:
            singles = [first, *(it for it in others if isinstance(it, Singles))]
            yield Batch(first.version, join(singles))


def _sort(record: Record) -> tuple[bool, str, int]:
    return isinstance(record, TableEntry), record.version, FINE.begin(record.moment)


def _keys(version: str, identifier: str) -> list[Key]:
    moment = read_milliseconds(identifier) / 1000
    return [(version, period, period.begin(moment)) for period in (FINE, COARSE)]


def _give_up(delivery: Delivery, error: object) -> Receipt:
    lost = sum(record.rows for record in delivery.records)
    log.error("journal entries refused count=%d error=%s", lost, say(error))
    return Receipt(lost=lost)


def main() -> None:
    """Write what comes through the pipe until its other end is closed, by whatever."""
    for ending in (signal.SIGINT, signal.SIGTERM):  # the whole group is told, and the worker asks
        signal.signal(ending, signal.SIG_IGN)
    with suppress(EOFError, BrokenPipeError), Connection(int(sys.argv[1])) as worker:
        settings: Settings = worker.recv()
        set_up_logs(settings)
        writer = Writer(settings)
        worker.send(Receipt())  # ready: all imports are done
        while True:
            while not worker.poll(IDLE_SECONDS):
                writer.tidy()
            worker.send(writer.write(worker.recv()))


if __name__ == "__main__":
    main()
