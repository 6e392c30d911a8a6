"""Forgets what has been kept for long enough."""

import logging

from sqlalchemy import delete, select, text
from sqlalchemy.exc import SQLAlchemyError

from identifiers import begin_at
from journal.database import Database, feedback, predictions, say, tallies
from journal.tally import COARSE, FINE

log = logging.getLogger(__name__)

TIDY_SECONDS = 600
MOST_ROWS = 5_000  # at once, for other writers wait meanwhile
FINE_SECONDS = 25 * 3600  # the last day, and the stretch it began in


class Retention:
    """Of one database; several may tidy it at the same time."""

    def __init__(self, database: Database, days: float) -> None:
        self._database = database
        self._seconds = days * 86_400
        self._next = 0.0

    def tidy(self, now: float) -> None:
        """A part of what there is to do, now and then; what fails is tried again."""
        if now < self._next:
            return
        try:
            is_done = self._forget(now)
        except SQLAlchemyError as error:
            log.warning("journal not tidied error=%s", say(error))
            is_done = True
        self._next = now + TIDY_SECONDS if is_done else now

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
        if gone.rowcount and self._database.is_sqlite:
            with self._database.engine.connect() as connection:
                connection.execute(text("PRAGMA incremental_vacuum(1000)")).fetchall()
        return bool(gone.rowcount < MOST_ROWS)
