"""Cuts connections that would take uvicorn's time or memory without end."""

import asyncio
import json
import logging
import socket
import struct
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from fcntl import ioctl
from functools import partial
from http import HTTPStatus
from math import inf
from sys import byteorder
from termios import TIOCOUTQ
from typing import NamedTuple
from weakref import WeakSet

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from identifiers import make_identifier
from logs import read_request_id
from problems import MEDIA_TYPE, OPEN_PROTOCOL

log = logging.getLogger(__name__)

HEADER_SECONDS = 10
BODY_SECONDS = 30  # without a byte
BODY_RATE = 500  # bytes a second of a body that takes longer
STALLED_SECONDS = 30  # in which fewer bytes of an answer are taken than at BODY_RATE
SWEEP_SECONDS = 1

MOST_AHEAD = 64  # requests that wait for the answer to an earlier one of their connection
HEAD_BYTES = 65_536
REST_BYTES = 33_554_432  # of an answered body: most callers read no answer before all is sent
SLICE_BYTES = 16_384

# For an API whose answers no browser is to render, guess at or keep.
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
]

_RESET = struct.pack("ii", 1, 0)  # linger, for no time
_Queued = tuple[RequestResponseCycle, ASGI3Application]

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


class TooManyAhead(Exception):
    """More than MOST_AHEAD; the parser stops there, and uvicorn sends a 400."""


class Pipeline(deque[_Queued]):
    """Requests that wait, the oldest to the right: one chunk may hold ten thousand."""

    def appendleft(self, item: _Queued) -> None:
        if len(self) == MOST_AHEAD:
            raise TooManyAhead
        super().appendleft(item)


class Flow(FlowControl):
    """uvicorn's, which reads no more as long as requests wait."""

    def __init__(self, transport: asyncio.Transport, pipeline: deque[_Queued]) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        if self.read_paused and not self._pipeline:
            super().resume_reading()


class Connection(HttpToolsProtocol):
    """uvicorn's, looked at every second: a request that comes at once meets next to nothing."""

    cut = 0  # connections of this process
    header_limit = Limit(HEADER_SECONDS)
    body_limit = Limit(BODY_SECONDS, BODY_RATE)
    stalled_limit = Limit(STALLED_SECONDS, BODY_RATE)
    sweep_seconds: float = SWEEP_SECONDS

    _wait: Wait | None = None
    _is_cut = False
    _running: RequestResponseCycle | None = None  # the last to run; `cycle` may wait behind it
    _counted: object = None  # the scope of the request whose bytes are counted
    _head = 0
    _rest = 0
    _unsent = 0
    _stalled = 0  # sweeps

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.pipeline = Pipeline()
        self.flow = Flow(transport, self.pipeline)
        if self.server_state not in swept:
            swept.add(self.server_state)
            _sweep_later(self.loop, self.server_state, self.sweep_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        running = self._running
        if running is not None and not running.response_complete:
            running.disconnected = True  # or it would go on, and write where nobody is
            running.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        HttpToolsProtocol._start_asgi_task(self, cycle, app)

    def data_received(self, data: bytes) -> None:
        if len(data) > SLICE_BYTES:
            self._receive_slices(data)
            return
        HttpToolsProtocol.data_received(self, data)  # super() costs a tenth of a microsecond
        cycle = self.cycle
        if cycle is None or cycle.more_body or cycle.scope is not self.scope:
            self._count(len(data))

    def _receive_slices(self, data: bytes) -> None:
        for start in range(0, len(data), SLICE_BYTES):
            # What was sent behind an upgrade is not for us; uvicorn drops it as well.
            if self.transport.is_closing() or self.transport.get_protocol() is not self:
                return
            Connection.data_received(self, data[start : start + SLICE_BYTES])

    def _count(self, size: int) -> None:
        """A slice that ends amid a request; its first one may be of the request before."""
        if self._counted is not self.scope:
            self._counted, self._head, self._rest = self.scope, 0, 0
            return
        cycle = self.cycle
        is_head = cycle is None or cycle.scope is not self.scope
        if not is_head and cycle.response_complete:
            self._rest += size
        elif is_head or not cycle.body:  # as are the trailers of a body in chunks
            self._head += size
        else:
            self._head = 0
        if self._head > HEAD_BYTES:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            self._refuse(status, f"The headers are larger than {HEAD_BYTES} bytes.")
        elif self._rest > REST_BYTES:
            self.transport.close()

    def resume_writing(self) -> None:
        self._stalled = 0
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        self._refuse(HTTPStatus.BAD_REQUEST, msg)

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Without a word, where an earlier request has not been answered to its end."""
        running = self._running
        if running is None or running.response_complete:
            self._answer(status, detail)
        elif running.more_body and not running.response_started:
            self._answer(status, detail, running)
        self.transport.close()

    def look(self) -> None:
        """Cut what is late; to be called once a sweep."""
        if self._is_stalled():
            self._abort()
            return
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

    def _is_stalled(self) -> bool:
        """Whether too little was taken of what was unsent so many sweeps ago."""
        unsent = self._count_unsent()
        if unsent == 0:
            self._stalled = 0
            return False
        if self._stalled == 0:
            self._unsent = unsent
        self._stalled += 1
        if (self._stalled - 1) * self.sweep_seconds < self.stalled_limit.seconds:
            return False
        self._stalled = 0
        seconds, rate = self.stalled_limit
        return self._unsent - unsent < seconds * rate

    def _count_unsent(self) -> int:
        """With what the system holds, which asks for more only when a third of that is gone."""
        size = self.transport.get_write_buffer_size()
        if size:
            with suppress(OSError):  # not every system tells
                descriptor = self.transport.get_extra_info("socket").fileno()
                size += int.from_bytes(ioctl(descriptor, TIOCOUTQ, bytes(4)), byteorder)
        return size

    def _abort(self) -> None:
        """Nor may the system keep megabytes, and try for minutes to get rid of them."""
        log.info("download stalled unsent_bytes=%d", self._unsent)
        connected = self.transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

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
        Connection.data_received(self, data)

    def _cut(self, limit: Limit) -> None:
        Connection.cut += 1
        self._is_cut = True
        status = HTTPStatus.REQUEST_TIMEOUT
        if limit is self.header_limit:
            self._answer(status, f"The headers took longer than {limit.seconds:g} seconds.")
        elif not self.cycle.response_started:
            detail = (
                f"The body came at less than {limit.bytes_per_second:g} bytes a second, "
                f"or not at all for {limit.seconds:g} seconds."
            )
            self._answer(status, detail, self.cycle)
        self.transport.close()

    def _answer(
        self, status: HTTPStatus, detail: str, cycle: RequestResponseCycle | None = None
    ) -> None:
        path = cycle.scope["path"] if cycle else ""
        sent = dict(cycle.scope["headers"]).get(b"x-request-id") if cycle else None
        called = read_request_id(sent) or make_identifier()
        document = {"title": status.phrase, "status": status, "detail": detail}
        document["request_id"] = called
        media_type = MEDIA_TYPE
        if OPEN_PROTOCOL.match(path):
            document, media_type = {"error": detail}, "application/json"
        content = json.dumps(document).encode()
        headers = [
            *self.server_state.default_headers,
            *HEADERS,
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
