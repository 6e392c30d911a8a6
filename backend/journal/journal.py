"""The journal of one worker: what writes it, and what reads it."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.metrics_core import Metric
from sqlalchemy.exc import SQLAlchemyError

from errors import JournalAway
from journal.database import Database
from journal.feedback import Feedback
from journal.figures import Figures
from journal.recorder import Recorder
from monitoring.reports import Report
from serving.inference import Model
from serving.live import LiveModel
from settings import Settings

READING_THREADS = 4
REPORT_SECONDS = 4.0  # Prometheus gives a scrape ten

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


class Journal:
    """Both ends of one database, each with connections of its own."""

    def __init__(self, settings: Settings, live: LiveModel) -> None:
        """Raises ValueError where there can be no such database."""
        database = Database(settings.journal_url)
        self._database = database
        self._threads = ThreadPoolExecutor(READING_THREADS, "journal-reading")
        self.recorder = Recorder(settings, live)
        self.figures = Figures(database)
        self.feedback = Feedback(database)

    async def ask(self, function: Callable[[*Arguments], Result], *args: *Arguments) -> Result:
        """Call it in a thread of our own: a database that hangs would hold up all that need one.

        Raises JournalAway if it cannot be reached.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, function, *args)
        except (SQLAlchemyError, OSError):
            raise JournalAway("The journal cannot be reached now. Try again later.") from None

    async def report(self, model: Model | None) -> Report:
        """What there is to tell by now; a scrape cannot wait for long."""
        report = await self._read_report(model) if model else Report()
        return report._replace(trouble=self.recorder.trouble or report.trouble)

    async def _read_report(self, model: Model) -> Report:
        try:
            async with asyncio.timeout(REPORT_SECONDS):
                return await self.ask(self.figures.report, model)
        except TimeoutError:
            return Report(trouble="The journal does not answer.")

    def expose(self) -> Iterator[Metric]:
        """How the journal keeps up, for Prometheus."""
        said = "The age of the oldest prediction that is not written yet."
        yield Gauge("journal_lag_seconds", said, self.recorder.lag_seconds)
        said = "1 where what was last to be written is."
        yield Gauge("journal_up", said, self.recorder.trouble is None)
        said = "Predictions that are written, the rows of tables among them."
        yield Counter("journal_written_predictions", said, self.recorder.written)
        said = "Predictions that never will be written."
        yield Counter("journal_lost_predictions", said, self.recorder.lost)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
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
