"""Writes the journal, in a process of its own so that a prediction never waits for a database."""

import logging
import signal
import sys
from contextlib import suppress
from itertools import chain, groupby
from multiprocessing.connection import Connection
from time import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from instrumentation.logs import set_up_logs
from journal.database import Database, models, predictions, say, tallies
from journal.entries import Written, enter_model, enter_rows, enter_tables
from journal.messages import Delivery, Identity, Packet, Receipt, Row
from journal.retention import Retention
from journal.tally import COARSE, FINE, Period, Tally
from schemas import Description
from settings import Settings

if TYPE_CHECKING:
    from journal.shadow import Shadow

log = logging.getLogger(__name__)

Key = tuple[Identity, Period, int]  # model, period and its start
IDLE_SECONDS = 1.0  # without predictions; what is old is forgotten all the same
KEPT_SECONDS = 2 * COARSE.seconds  # of counts in memory, in case predictions come late


class Writer:
    """One worker's writer; the rows it counts in are its own."""

    def __init__(self, settings: Settings) -> None:
        self._database = Database(settings.journal_url)
        self.retention = Retention(self._database, settings.journal_retention_days)
        self._shadow = _start_shadow(settings)
        self._name = uuid4().hex
        self._descriptions: dict[Identity, Description] = {}
        self._tallies: dict[Key, Tally] = {}
        self._told: dict[str, str] = {}  # the database, of each version the sha256

    def write(self, delivery: Delivery) -> Receipt:
        """All of it, or nothing."""
        try:
            self._learn(delivery.descriptions)
            self._write(delivery)
        except (DataError, IntegrityError) as error:  # it would be so again
            return _give_up(delivery, error)
        except (SQLAlchemyError, OSError) as error:
            self._told = {}  # another database may be in its place
            return Receipt(trouble=say(error))
        except Exception as error:  # whatever it is, what comes after has to be written
            return _give_up(delivery, error)
        self.retention.tidy(time())
        return Receipt()

    def _learn(self, descriptions: dict[Identity, Description]) -> None:
        """Forget counts of a manifest that somebody has changed: its bins may be others."""
        for model, description in descriptions.items():
            if self._descriptions.get(model, description) != description:
                for key in [key for key in self._tallies if key[0] == model]:
                    del self._tallies[key]
        self._descriptions |= descriptions

    def _write(self, delivery: Delivery) -> None:
        entries: list[dict[str, Any]] = []
        counts: dict[Key, Tally] = {}
        for (model, is_table, start), packets in groupby(delivery.packets, key=_sort):
            contents = [packet.read() for packet in packets]
            if is_table:
                written, counted = enter_tables(contents, self._descriptions[model])
            else:
                written, counted = self._enter_rows([*chain(*contents)], model, delivery)
            entries += written
            for period in (FINE, COARSE):
                key = (model, period, period.begin(start))
                known = counts.get(key) or self._tallies.get(key)
                counts[key] = known.plus(counted) if known else counted
        used = dict(packet.model for packet in delivery.packets)
        self._insert(entries, counts, used.items() - self._told.items())
        self._told |= used
        # After a day without a database, too, what is counted has to be there to be added to.
        oldest = min(time(), *(packet.moment for packet in delivery.packets)) - KEPT_SECONDS
        every = self._tallies | counts
        self._tallies = {key: tally for key, tally in every.items() if key[2] > oldest}

    def _enter_rows(self, rows: list[Row], model: Identity, delivery: Delivery) -> Written:
        description = self._descriptions[model]
        if self._shadow is None or description.version != delivery.live_version:
            return enter_rows(rows, description, None, [None] * len(rows))
        values = [row[3] for row in rows]
        answers = self._shadow.answer(description, values, delivery.is_behind)
        return enter_rows(rows, description, *answers)

    def _insert(
        self, entries: list[dict[str, Any]], counts: dict[Key, Tally], news: set[Identity]
    ) -> None:
        counted = [
            {
                "model_version": version,
                "period": period.name,
                "start": start,
                "writer": self._name,
                "counts": tally.write(),
            }
            for ((version, _), period, start), tally in counts.items()
        ]
        described = [enter_model(self._descriptions[model]) for model in sorted(news)]
        with self._database.begin() as connection:
            if described:
                connection.execute(self._database.replace(models), described)
            # Rows that came through before the answer was lost are there already.
            again = self._database.insert(predictions).on_conflict_do_nothing()
            connection.execute(again, entries)
            connection.execute(self._database.replace(tallies), counted)


def _start_shadow(settings: Settings) -> "Shadow | None":
    if settings.shadow == "off":
        return None
    # Loading a model takes ten megabytes, which only this needs.
    from journal.shadow import Shadow  # noqa: PLC0415

    return Shadow(settings)


def _sort(packet: Packet) -> tuple[Identity, bool, int]:
    """Neighbours of one model and one stretch of time are counted at once."""
    return packet.model, packet.is_table, FINE.begin(packet.moment)


def _give_up(delivery: Delivery, error: object) -> Receipt:
    lost = sum(packet.rows for packet in delivery.packets)
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
                writer.retention.tidy(time())
            worker.send(writer.write(worker.recv()))


if __name__ == "__main__":
    main()
