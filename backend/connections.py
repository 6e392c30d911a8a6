"""Cuts connections whose requests come so slowly that uvicorn would wait for them without end."""

import asyncio
import json
import logging
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from math import inf
from typing import NamedTuple
from weakref import WeakSet

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from identifiers import make_identifier
from problems import MEDIA_TYPE, OPEN_PROTOCOL

log = logging.getLogger(__name__)

HEADER_SECONDS = 10
BODY_SECONDS = 30  # without a byte
BODY_RATE = 500  # bytes a second of a body that takes longer
SWEEP_SECONDS = 1

swept: WeakSet[ServerState] = WeakSet()


class Limit(NamedTuple):
    """Over after these seconds without a byte, or where fewer bytes have come by then."""

    seconds: float
    bytes_per_second: float = inf


@dataclass(slots=True)
class Wait:
    """For a part of a request, counted in sweeps: a server that was held up blames no caller."""

    limit: Limit
    cycle: RequestResponseCycle | None  # of the last request whose headers have come
    received: int = 0
    sweeps: int = 0
    silent_from: int = 0

    def count(self, data: bytes) -> None:
        self.received += len(data)
        self.silent_from = self.sweeps + 1

    def is_over(self, sweep_seconds: float) -> bool:
        seconds = self.sweeps * sweep_seconds
        if seconds < self.limit.seconds:
            return False
        silent = (self.sweeps - self.silent_from) * sweep_seconds
        return silent >= self.limit.seconds or self.received < self.limit.bytes_per_second * seconds


class Connection(HttpToolsProtocol):
    """uvicorn's, looked at every second: a request that comes at once meets nothing of this."""

    cut = 0  # connections of this process
    header_limit = Limit(HEADER_SECONDS)
    body_limit = Limit(BODY_SECONDS, BODY_RATE)
    sweep_seconds: float = SWEEP_SECONDS

    _wait: Wait | None = None
    _is_cut = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.server_state not in swept:
            swept.add(self.server_state)
            _sweep_later(self.loop, self.server_state, self.sweep_seconds)

    def look(self) -> None:
        """Cut what is late; to be called once a sweep."""
        if self.transport.is_closing():
            if self._is_cut:  # and does not take what was sent before
                self.transport.abort()
            return
        limit, wait = self._find_limit(), self._wait
        if limit is None:
            self._stop_waiting()
        elif wait is None or wait.limit != limit or wait.cycle is not self.cycle:
            self._start_waiting(limit)
        else:
            wait.sweeps += 1
            if wait.is_over(self.sweep_seconds):
                self._cut(limit)

    def _find_limit(self) -> Limit | None:
        """None where it is not for the caller to send, or uvicorn itself waits no longer."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            has_come = self.pipeline or not cycle.more_body
            if has_come or self.flow.read_paused or cycle.waiting_for_100_continue:
                return None
            return self.body_limit
        if cycle is None or self.scope is not cycle.scope:
            return self.header_limit
        if self.timeout_keep_alive_task is not None:
            return None
        # The rest of a body that was answered before its end, or nothing: uvicorn can't tell.
        return Limit(self.timeout_keep_alive, self.body_limit.bytes_per_second)

    def _start_waiting(self, limit: Limit) -> None:
        self._wait = Wait(limit, self.cycle)
        self.data_received = partial(self._receive, self._wait)  # type: ignore[method-assign]
        self._tell_transport()

    def _stop_waiting(self) -> None:
        if self._wait is None:
            return
        self._wait = None
        del self.data_received
        self._tell_transport()

    def _tell_transport(self) -> None:
        # uvloop's looks the method up when it gets its protocol, and never again.
        self.transport.set_protocol(self)

    def _receive(self, wait: Wait, data: bytes) -> None:
        wait.count(data)
        super().data_received(data)

    def _cut(self, limit: Limit) -> None:
        Connection.cut += 1
        self._is_cut = True
        if limit is self.header_limit:
            self._answer(f"The headers took longer than {limit.seconds:g} seconds.")
        elif not self.cycle.response_started:
            self._answer(
                f"The body came at less than {limit.bytes_per_second:g} bytes a second, "
                f"or not at all for {limit.seconds:g} seconds.",
                self.cycle.scope["path"],
            )
        self.transport.close()

    def _answer(self, detail: str, path: str = "") -> None:
        status = HTTPStatus.REQUEST_TIMEOUT
        called = make_identifier()
        document = {"title": status.phrase, "status": status, "detail": detail}
        document["request_id"] = called
        media_type = MEDIA_TYPE
        if OPEN_PROTOCOL.match(path):
            document, media_type = {"error": detail}, "application/json"
        content = json.dumps(document).encode()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", media_type.encode()),
            (b"content-length", b"%d" % len(content)),
            (b"connection", b"close"),
            (b"x-request-id", called.encode()),
        ]
        lines = [b"%s: %s\r\n" % header for header in headers]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", content]))


def _sweep_later(loop: asyncio.AbstractEventLoop, state: ServerState, seconds: float) -> None:
    loop.call_later(seconds, _sweep, loop, state, seconds)


def _sweep(loop: asyncio.AbstractEventLoop, state: ServerState, seconds: float) -> None:
    if not state.connections:
        swept.discard(state)
        return
    _sweep_later(loop, state, seconds)
    before = Connection.cut
    for connection in tuple(state.connections):
        if isinstance(connection, Connection):
            connection.look()
    if Connection.cut > before:
        log.info("slow connections cut count=%d", Connection.cut - before)
