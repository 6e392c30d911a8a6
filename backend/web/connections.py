"""Cuts connections that would take uvicorn's time or memory without end."""

import asyncio
import logging
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from fcntl import ioctl
from http import HTTPStatus
from math import inf
from sys import byteorder
from termios import TIOCOUTQ
from typing import Any, NamedTuple

import httptools
from fastapi import Request
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from errors import PlainFailure
from instrumentation.identifiers import make_identifier
from instrumentation.logs import read_request_id, request_id
from web.problems import answer_failure

log = logging.getLogger(__name__)

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


class Limit(NamedTuple):
    """How many bytes have to move in each so many seconds, and how many may in all."""

    seconds: float
    least: float = inf  # by default no bytes are enough
    most: float = inf


UNLIMITED = Limit(inf)


@dataclass(slots=True)
class Wait:
    """A wait for bytes, counted in looks: a server that was held up blames no caller."""

    limit: Limit
    cycle: RequestResponseCycle | None = None  # of the last request whose headers have come
    looks: int = 0
    moved: int = 0
    total: int = 0

    def is_over(self, moved: int, look_seconds: float) -> bool:
        self.looks += 1
        self.moved += moved
        self.total += moved
        if self.moved >= self.limit.least:
            self.looks = self.moved = 0
        return self.looks * look_seconds >= self.limit.seconds or self.total > self.limit.most


class Flow(FlowControl):
    """Flow control that reads no more while requests wait."""

    def __init__(self, connection: "Connection") -> None:
        super().__init__(connection.transport)
        self._pipeline = connection.pipeline

    def resume_reading(self) -> None:
        if self.read_paused and not self._pipeline:
            super().resume_reading()


class Connection(HttpToolsProtocol):
    """A connection of uvicorn's that is looked at every second, and cut if it is late."""

    header_limit = Limit(10)
    body_limit = Limit(30, 15_000)
    stalled_limit = Limit(30, 15_000)
    look_seconds: float = 1

    url = b""
    _running: RequestResponseCycle | None = None  # the last to run; `cycle` may wait behind it
    _head = 0  # bytes since the last header block or part of a body
    _received = 0  # bytes since the last look
    _unsent = 0  # bytes at the last look

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = Flow(self)
        self._rest_limit = Limit(self.timeout_keep_alive, self.body_limit.least, REST_BYTES)
        self._wait = Wait(UNLIMITED)
        self._timer = self.loop.call_later(self.look_seconds, self.look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        running = self._running
        if running is not None and not running.response_complete:
            running.disconnected = True  # or it would go on, and write where nobody is
            running.message_event.set()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        HttpToolsProtocol._start_asgi_task(self, cycle, app)

    def on_response_complete(self) -> None:
        """Do as uvicorn does, without a timer for each request: `look` ends idle connections."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def data_received(self, data: bytes) -> None:
        if len(data) > SLICE_BYTES:
            for start in range(0, len(data), SLICE_BYTES):
                if not self.transport.is_closing():
                    self.data_received(data[start : start + SLICE_BYTES])
            return
        self._received += len(data)
        self._head += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if not self.transport.is_closing():
                is_ours = isinstance(error, httptools.HttpParserCallbackError)
                reason = "the target cannot be read" if is_ours else error
                self._refuse(HTTPStatus.BAD_REQUEST, f"The request is not valid HTTP: {reason}.")
        else:
            if self._head > HEAD_BYTES:
                status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
                self._refuse(status, f"The headers are larger than {HEAD_BYTES} bytes.")

    def _should_upgrade(self) -> bool:
        return True  # or uvicorn would answer before _ignore_upgrade can

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Read a request again without its Upgrade header, at which llhttp skips the body."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self._refuse(HTTPStatus.NOT_IMPLEMENTED, "This server is not a proxy.")
            return
        self.parser = httptools.HttpRequestParser(self)  # the old one is done if it read a close
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        headers = [header for header in self.scope["headers"] if header[0] != b"upgrade"]
        lines = [b"%s:%s\r\n" % header for header in headers]
        start = b"%s %s HTTP/%s\r\n" % (method, self.url, version)
        self.data_received(b"".join([start, *lines, b"\r\n", rest]))

    def on_headers_complete(self) -> None:
        if fault := self._find_fault():
            self._refuse(*fault)
            raise ValueError(fault)  # which stops the parser
        HttpToolsProtocol.on_headers_complete(self)
        self.headers = []  # for trailers; the scope keeps the list it has
        self._head = 0

    def _find_fault(self) -> tuple[HTTPStatus, str] | None:
        names = [name for name, _ in self.headers]
        hosts = names.count(b"host")
        if hosts != 1 and (hosts or self.parser.get_http_version() != "1.0"):
            return HTTPStatus.BAD_REQUEST, f"The request has {hosts} Host headers. Send one."
        if b"transfer-encoding" in names:
            sent = b",".join(value for name, value in self.headers if name == b"transfer-encoding")
            # llhttp refuses what does not end in chunked.
            if sent.lower() != b"chunked" and sent.lower().endswith(b"chunked"):
                return HTTPStatus.NOT_IMPLEMENTED, "Transfer-Encoding can only be chunked."
        if len(self.pipeline) == MOST_AHEAD:
            return HTTPStatus.TOO_MANY_REQUESTS, "Read answers before you send more requests."
        return None

    def on_body(self, body: bytes) -> None:
        self._head = 0
        HttpToolsProtocol.on_body(self, body)

    def resume_writing(self) -> None:
        if self._wait.limit is self.stalled_limit:
            self._wait.looks = 0
        super().resume_writing()

    def look(self) -> None:
        """Cut the connection if it is late."""
        self._timer = self.loop.call_later(self.look_seconds, self.look)
        received, self._received = self._received, 0
        before, self._unsent = self._unsent, self._count_unsent()
        moved = max(before - self._unsent, 0) if self._unsent else received
        limit = self.stalled_limit if self._unsent else self._find_limit()
        cycle = None if self._unsent else self.cycle
        if self._wait.limit is not limit or self._wait.cycle is not cycle:
            self._wait = Wait(limit, cycle)
        elif self._wait.is_over(moved, self.look_seconds):
            self._cut(limit)

    def _count_unsent(self) -> int:
        """With what the system holds, which asks for more only when a third of that is gone."""
        size = self.transport.get_write_buffer_size()
        if size:
            with suppress(OSError):  # not every system tells
                descriptor = self.transport.get_extra_info("socket").fileno()
                size += int.from_bytes(ioctl(descriptor, TIOCOUTQ, bytes(4)), byteorder)
        return size

    def _find_limit(self) -> Limit:
        """Unlimited if the caller has nothing to send; the rest of a body may follow its answer."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            is_rest = cycle is not None and self.scope is cycle.scope
            return self._rest_limit if is_rest else self.header_limit
        has_come = self.pipeline or not cycle.more_body
        if has_come or self.flow.read_paused or cycle.waiting_for_100_continue:
            return UNLIMITED
        return self.body_limit

    def _cut(self, limit: Limit) -> None:
        if self._unsent:
            self._reset()
        elif limit is self._rest_limit:
            self.transport.close()
        else:
            if instruments := self.app_state.get("instruments"):
                instruments.slow_connections += 1
            detail = f"The headers took longer than {limit.seconds} s."
            if limit is self.body_limit:
                detail = f"Fewer than {limit.least} bytes of the body came in {limit.seconds} s."
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, detail)

    def _reset(self) -> None:
        """Leave nothing to the system, which would try for minutes to send megabytes."""
        log.info("download stalled unsent_bytes=%d", self._unsent)
        linger = struct.pack("ii", 1, 0)  # for no time
        connected = self.transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Close, without a word if an earlier request has not been answered to its end."""
        sent = dict(self.scope["headers"]) if self.scope else {}
        called = read_request_id(sent.get(b"x-request-id")) or make_identifier()
        token = request_id.set(called)
        log.info("request refused status=%d detail=%s", status, detail)
        running = self._running
        is_coming = running and running.more_body and not running.response_started
        if running is None or running.response_complete or is_coming:
            headers = [(b"connection", b"close"), (b"x-request-id", called.encode())]
            self.transport.write(self._write_refusal(PlainFailure(status, detail), headers))
        request_id.reset(token)
        self.transport.close()

    def _write_refusal(self, refused: PlainFailure, headers: list[tuple[bytes, bytes]]) -> bytes:
        scope = {"type": "http", "path": self.url.decode("latin-1"), "headers": []}
        answer = answer_failure(Request(scope | {"server": ("localhost", 80)}), refused)
        headers = [*self.server_state.default_headers, *HEADERS, *headers, *answer.raw_headers]
        lines = [b"%s: %s\r\n" % header for header in headers]
        return b"".join([STATUS_LINE[refused.status], *lines, b"\r\n", answer.body])
