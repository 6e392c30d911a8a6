"""Gathers what has been predicted, and has it written down a moment later, many at once."""

import asyncio
from itertools import groupby
from operator import itemgetter

from instrumentation.logs import Answered, RequestLog
from journal.recorder import Recorder
from schemas import Prediction, Value
from serving.inference import Model

WAIT_SECONDS = 0.02
MOST = 64  # that a processor's cache still has, and few enough that nobody waits for them


# A prediction that was sent, and its line of the log; None where it has one already.
Entry = tuple[Model, Prediction, list[Value], Answered | None]


class Ledger:
    """On one event loop."""

    def __init__(self, requests: RequestLog, recorder: Recorder | None) -> None:
        self._requests = requests
        self._recorder = recorder
        self._entries: list[Entry] = []
        self._is_waiting = False

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        if len(self._entries) == MOST:
            self.write()
        elif not self._is_waiting:
            self._is_waiting = True
            asyncio.get_running_loop().call_later(WAIT_SECONDS, self._end_wait)

    def _end_wait(self) -> None:
        self._is_waiting = False
        self.write()

    def write(self) -> None:
        """All there is by now."""
        entries, self._entries = self._entries, []
        self._requests.write(answered for _, _, _, answered in entries if answered)
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
                for _, prediction, values, _ in found
            ]
            self._recorder.add(model, rows)
