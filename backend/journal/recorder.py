"""Passes on to the journal what has been predicted, and keeps it while the journal is away."""

import logging
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Condition, Event, Thread
from time import time

from features.counts import TableCounts
from journal.messages import Delivery, Identity, Packet, Receipt, Row, pack_rows, pack_table
from schemas import Description
from serving.inference import Model
from serving.live import LiveModel
from settings import Settings

log = logging.getLogger(__name__)

DELIVER_SECONDS = 0.25  # so that a killed process loses less than a second
RETRY_SECONDS = 1.0
START_SECONDS = 10.0  # the longest wait for the writer, which is ready within one or two
ANSWER_SECONDS = 60.0  # a writer that takes longer is ended, and another one started
CLOSE_SECONDS = 5.0  # for what is left when the service stops; Docker waits for ten
MOST_BYTES = 64 * 1024**2  # that wait for the journal: half a million irises
DELIVERY_BYTES = 4 * 1024**2  # at once
BEHIND_SECONDS = 2.0
FOLDER = Path(__file__).parent.parent


class Recorder:
    """One worker's way to its journal: a bounded queue, a thread, and the process that writes."""

    def __init__(self, settings: Settings, live: LiveModel) -> None:
        self._settings = settings
        self._live = live
        self._queue: deque[Packet] = deque()
        self._bytes = 0
        self._change = Condition()
        self._is_closing = False
        self._has_given_up = False
        self._descriptions: dict[Identity, Description] = {}
        self._told: dict[Identity, Description] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._has_tried = Event()
        self._thread = Thread(target=self._run, name="journal", daemon=True)
        self.trouble: str | None = None
        self.written = 0
        self.lost = 0

    @property
    def lag_seconds(self) -> float:
        """The age of the oldest prediction that is not written yet."""
        with self._change:
            return time() - self._queue[0].moment if self._queue else 0.0

    def start(self) -> None:
        """Wait until the writer is ready or has failed: a kill before that loses everything."""
        self._thread.start()
        self._has_tried.wait(START_SECONDS)

    def add(self, model: Model, rows: list[Row]) -> None:
        """Predictions of one model, made just now."""
        self._put(model, pack_rows(model.description, rows))

    def add_table(self, model: Model, counts: TableCounts) -> None:
        """From any thread."""
        self._put(model, pack_table(model.description, counts))

    def close(self) -> None:
        """Write what there is, as far as that goes in a few seconds."""
        with self._change:
            self._is_closing = True
            self._change.notify()
        self._thread.join(CLOSE_SECONDS)
        with self._change:
            self._has_given_up = True
            self._change.notify()
        left = sum(packet.rows for packet in self._queue)
        if left:
            log.error("journal entries lost at the end count=%d trouble=%s", left, self.trouble)
        self._end_process()

    def _put(self, model: Model, packet: Packet) -> None:
        with self._change:
            if self._bytes + len(packet.packed) > MOST_BYTES:
                if not self.lost:
                    log.error("journal queue full, entries are lost trouble=%s", self.trouble)
                self.lost += packet.rows
                return
            self._descriptions[packet.model] = model.description
            self._queue.append(packet)
            self._bytes += len(packet.packed)
            if len(self._queue) == 1:
                self._change.notify()

    def _run(self) -> None:
        try:
            self._start_process()
        except (EOFError, OSError):  # it is started again with what there is to write
            self._end_process()
        self._has_tried.set()
        while (packets := self._wait()) and not self._has_given_up:
            self._note(self._deliver(packets), packets)

    def _wait(self) -> list[Packet]:
        """What to deliver next, at most every so often; nothing once all is done."""
        with self._change:
            self._change.wait_for(lambda: self._queue or self._is_closing)
            if self.trouble:
                self._change.wait_for(lambda: self._has_given_up, RETRY_SECONDS)
            elif self._bytes < DELIVERY_BYTES:
                self._change.wait_for(lambda: self._is_closing, DELIVER_SECONDS)
            return list(self._take())

    def _take(self) -> Iterator[Packet]:
        """At least one, and no more than are delivered at once."""
        size = 0
        for packet in self._queue:
            size += len(packet.packed)
            if size >= DELIVERY_BYTES and packet is not self._queue[0]:
                return
            yield packet

    def _deliver(self, packets: list[Packet]) -> Receipt:
        try:
            pipe = self._pipe or self._start_process()
            models = {packet.model: self._descriptions[packet.model] for packet in packets}
            news = {key: new for key, new in models.items() if self._told.get(key) is not new}
            is_behind = self.lag_seconds > BEHIND_SECONDS
            pipe.send(Delivery(packets, news, self._live.live_version, is_behind))
            receipt = _receive(pipe)
        except (EOFError, OSError) as error:
            self._end_process()
            return Receipt(trouble=f"the process that writes it has ended: {error!r}")
        if receipt.trouble is None:
            self._told |= news
        return receipt

    def _note(self, receipt: Receipt, packets: list[Packet]) -> None:
        if receipt.trouble:
            if self.trouble is None:  # once, not at every try
                log.error("journal not written, it is tried again error=%s", receipt.trouble)
            self.trouble = receipt.trouble
            return
        if self.trouble:
            log.info("journal written again lost=%d", self.lost)
        self.trouble = None
        with self._change:
            for _ in packets:
                self._bytes -= len(self._queue.popleft().packed)
        self.lost += receipt.lost
        self.written += sum(packet.rows for packet in packets) - receipt.lost

    def _start_process(self) -> Connection:
        ours, theirs = Pipe()
        with theirs:
            command = [sys.executable, "-m", "journal.writer", str(theirs.fileno())]
            self._process = subprocess.Popen(  # noqa: S603  # of our own
                command, cwd=FOLDER, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )
        self._told = {}
        self._pipe = ours
        ours.send(self._settings)
        _receive(ours)
        return ours

    def _end_process(self) -> None:
        """By whoever comes first: `close` no longer waits for a thread that does it, too."""
        pipe, self._pipe = self._pipe, None
        if pipe:
            pipe.close()
        process, self._process = self._process, None
        if process:
            with suppress(subprocess.TimeoutExpired):  # it ends with its pipe, once all is written
                process.wait(1)
            process.kill()
            process.wait()


def _receive(pipe: Connection) -> Receipt:
    """Raises EOFError if the writer has ended, and TimeoutError if it hangs."""
    if not pipe.poll(ANSWER_SECONDS):
        raise TimeoutError(f"it did not answer for {ANSWER_SECONDS:.0f} seconds")
    receipt: Receipt = pipe.recv()
    return receipt
