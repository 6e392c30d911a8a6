"""Gathers what has been predicted, and has it written down a moment later, many at once."""

import asyncio
from itertools import groupby
from typing import NamedTuple

from inference import Model
from journal.messages import Row
from journal.recorder import Recorder
from logs import RequestLog
from schemas import Prediction, Value

WAIT_SECONDS = 0.02  # few enough meanwhile that nobody waits for their writing down


class Entry(NamedTuple):
    """A prediction that was sent, with what its request was called where it has no line yet."""

    model: Model
    prediction: Prediction
    values: list[Value]
    seconds: float = 0.0
    request_id: str | None = None


class Ledger:
    """On one event loop."""

    def __init__(self, requests: RequestLog, recorder: Recorder | None) -> None:
        self._requests = requests
        self._recorder = recorder
        self._entries: list[Entry] = []

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        if len(self._entries) == 1:
            asyncio.get_running_loop().call_later(WAIT_SECONDS, self.write)

    def write(self) -> None:
        """All there is by now."""
        entries, self._entries = self._entries, []
        self._requests.write_predictions(
            (it.request_id, it.seconds, it.prediction["prediction_id"])
            for it in entries
            if it.request_id is not None
        )
        if self._recorder is None:
            return
        for model, found in groupby(entries, key=lambda it: it.model):
            self._recorder.add(model, [_to_row(it.prediction, it.values) for it in found])


def _to_row(prediction: Prediction, values: list[Value]) -> Row:
    named = prediction["probabilities"]
    probabilities = list(named.values()) if named else None
    return prediction["prediction_id"], prediction["prediction"], probabilities, values
