"""Gathers what has been predicted, and has it written down a moment later, many at once."""

import asyncio
from itertools import groupby
from operator import itemgetter

from features.counts import TableCounts
from instrumentation.logs import Answered, RequestLog
from journal.recorder import Recorder
from schemas import Prediction, Value
from serving.inference import Model

WAIT_SECONDS = 0.02
MOST = 64  # that a processor's cache still has, and few enough that nobody waits for them

Entry = tuple[Model, Prediction, list[Value]]


class Ledger:
    """Predictions that were sent, and the log's lines of requests, on one event loop."""

    def __init__(self, requests: RequestLog, recorder: Recorder | None) -> None:
        self._requests = requests
        self._recorder = recorder
        self._entries: list[Entry] = []
        self._answered: list[Answered] = []
        self._is_waiting = False
        self._is_closed = False

    def add(self, model: Model, prediction: Prediction, values: list[Value]) -> None:
        """Call `log` next, which has both written."""
        self._entries.append((model, prediction, values))

    def log(self, answered: Answered) -> None:
        self._answered.append(answered)
        if self._is_closed or len(self._answered) == MOST:
            self.write()
        elif not self._is_waiting:
            self._is_waiting = True
            asyncio.get_running_loop().call_later(WAIT_SECONDS, self._end_wait)

    def _end_wait(self) -> None:
        self._is_waiting = False
        self.write()

    def close(self) -> None:
        """Write at once from now on: requests that are cancelled at the end are logged, too."""
        self._is_closed = True
        self.write()

    def write(self) -> None:
        """All there is by now."""
        entries, self._entries = self._entries, []
        answered, self._answered = self._answered, []
        self._requests.write(answered)
        if self._recorder is None:
            return
        for model, found in groupby(entries, key=itemgetter(0)):
            rows = [
                (
                    prediction["prediction_id"],
                    prediction["prediction"],
                    list(named.values()) if (named := prediction["probabilities"]) else None,
                    values,
                )
                for _, prediction, values in found
            ]
            self._recorder.add(model, rows)

    def add_table(self, model: Model, counts: TableCounts) -> None:
        """Call this from any thread."""
        if self._recorder:
            self._recorder.add_table(model, counts)


class TableCounter:
    """Counts the rows of one table as they are answered; the journal has them as one entry."""

    def __init__(self, model: Model, ledger: Ledger) -> None:
        self._model = model
        self._ledger = ledger
        self._sum: TableCounts | None = None

    def add(self, counts: TableCounts) -> None:
        self._model.counts.add_table(counts)
        self._sum = self._sum.plus(counts) if self._sum else counts

    def close(self) -> None:
        """Call this even if not all rows were asked for."""
        if self._sum:
            self._ledger.add_table(self._model, self._sum)
