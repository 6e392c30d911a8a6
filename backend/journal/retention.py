"""Forgets what has been kept for long enough."""

import logging
from typing import Any

from sqlalchemy import Connection, delete, select, text

from instrumentation.identifiers import begin_at
from journal.database import Database, feedback, predictions, say, tallies
from journal.tally import COARSE, FINE

log = logging.getLogger(__name__)

TIDY_SECONDS = 600
MOST_ROWS = 5_000  # at once, for other writers wait meanwhile
MOST_PAGES = 1_000  # of four kilobytes, given back at once
FINE_SECONDS = 25 * 3600  # the last day, and the stretch it began in


class Retention:
    """Of one database; several may tidy it at the same time."""

    def __init__(self, database: Database, days: float) -> None:
        self._database = database
        self._seconds = days * 86_400
        self._pause = min(TIDY_SECONDS, self._seconds / 10)
        self._next = 0.0

    def tidy(self, now: float) -> None:
        """A part of what there is to do, now and then; what fails is tried again."""
        if now < self._next:
            return
        try:
            is_done = self._forget(now)
        except Exception as error:  # the driver's own among them; what is written stays written
            log.warning("journal not tidied error=%s", say(error))
            is_done = True
        self._next = now + self._pause if is_done else now

    def _forget(self, now: float) -> bool:
        """Whether nothing is left to forget."""
        oldest = begin_at(int(1000 * (now - self._seconds)))
        first = select(predictions.c.id).where(predictions.c.id < oldest).limit(MOST_ROWS)
        kept = ((FINE, FINE_SECONDS), (COARSE, self._seconds + COARSE.seconds))
        with self._database.begin() as connection:
            gone = connection.execute(
                delete(predictions).where(predictions.c.id.in_(first.scalar_subquery()))
            )
            connection.execute(delete(feedback).where(feedback.c.prediction_id < oldest))
            for period, seconds in kept:
                is_old = tallies.c.start < now - seconds
                connection.execute(delete(tallies).where(tallies.c.period == period.name, is_old))
        is_smallest = not self._database.is_sqlite or self._shrink()
        return bool(gone.rowcount < MOST_ROWS) and is_smallest

    def _shrink(self) -> bool:
        """Give a part of the file's empty pages back; whether there are no more of them."""
        with self._database.engine.connect() as connection:
            before = _count_empty(connection)
            sqlite: Any = connection.connection.driver_connection
            # A cursor would take one step of it, which is one page.
            sqlite.executescript(f"PRAGMA incremental_vacuum({MOST_PAGES})")
            after = _count_empty(connection)
        return after in (0, before)  # a file of another making keeps them


def _count_empty(connection: Connection) -> int:
    return int(connection.execute(text("PRAGMA freelist_count")).scalar_one())
