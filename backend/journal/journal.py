"""The journal of one worker: what writes it, and what reads it."""

import sys

from journal.database import Database
from journal.feedback import Feedback
from journal.reading import Reader
from journal.recorder import Recorder
from live import LiveModel
from settings import Settings


class Journal:
    """Both ends of one database, each with connections of its own."""

    def __init__(self, settings: Settings, live: LiveModel) -> None:
        """Raises ValueError where there can be no such database."""
        database = Database(settings.journal_url)
        self._database = database
        self.recorder = Recorder(settings, live)
        self.reader = Reader(database)
        self.feedback = Feedback(database)

    def close(self) -> None:
        self.recorder.close()
        self._database.engine.dispose()


def open_journal(settings: Settings, live: LiveModel) -> Journal | None:
    """None where none is kept; exits where its address cannot be used."""
    if settings.journal == "off":
        return None
    try:
        return Journal(settings, live)
    except ValueError as error:
        sys.exit(f"JOURNAL_URL: {error}.")
