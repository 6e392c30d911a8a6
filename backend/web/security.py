"""Lets in who may ask, no more at once than there is room for, and for no longer than allowed."""

import asyncio
import hmac
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from errors import (
    ForeignPage,
    ModelServerError,
    RequestTooSlow,
    TooManyRequests,
    Unauthorized,
)
from settings import Settings
from web.connections import HEADERS
from web.problems import answer_failure

OPEN = frozenset(
    {"/", "/docs", "/openapi.json", "/health/live", "/health/ready"}
    | {"/v2/health/live", "/v2/health/ready"}
)
OPEN_FOLDER = "/static-offline-docs/"  # the scripts of /docs
WATCHED = frozenset({"/metrics", "/monitoring"})  # most of all when there are too many requests
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
UNTIMED = frozenset({"/predict/batch", "/predict/batch/preview"})  # which have limits of their own

PREDICTION_HEADERS = HEADERS[:1]  # of a POST, which nobody keeps; and each header costs time
# /docs is a page, whose scripts come from here.
PAGE_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (
        b"content-security-policy",
        (
            b"default-src 'self'; script-src 'self' 'unsafe-inline'; "
            b"style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
        ),
    ),
    (b"referrer-policy", b"no-referrer"),
]


class Gate:
    """Lets in who may ask, no more at once than there is room for."""

    def __init__(self, settings: Settings) -> None:
        self.admitted = 0  # of the requests in flight, the ones that take a place from others
        self._most = settings.max_concurrent_requests
        self._keys = [key.encode() for key in settings.api_keys]
        self._origins = settings.allowed_origins

    @property
    def has_room(self) -> bool:
        return self.admitted < self._most

    def knows(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether one of the keys is sent, in the same time whichever comes close."""
        if not self._keys:
            return True
        sent = headers.get(b"x-api-key")
        if sent is None:
            scheme, _, sent = headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer":
                return False
        sent = sent.strip()
        found = [hmac.compare_digest(sent, key) for key in self._keys]
        return any(found)

    @contextmanager
    def admit(self, scope: Scope) -> Iterator[None]:
        """Takes one of the places; raises Unauthorized, ForeignPage or TooManyRequests."""
        path, headers = scope["path"], dict(scope["headers"])
        if path in OPEN or path.startswith(OPEN_FOLDER):
            yield
            return
        if not self.knows(headers):
            message = "Send a key: `Authorization: Bearer KEY`, or `X-API-Key: KEY`."
            raise Unauthorized(message)
        if scope["method"] not in SAFE and self._is_foreign(headers):
            raise ForeignPage("Pages of other origins may not ask, unless CORS_ORIGINS names them.")
        if path in WATCHED:
            yield
            return
        if not self.has_room:
            message = f"{self._most} requests are being answered. Send this one again later."
            raise TooManyRequests(message)
        self.admitted += 1
        try:
            yield
        finally:
            self.admitted -= 1

    def _is_foreign(self, headers: Mapping[bytes, bytes]) -> bool:
        """Judge the page by its browser's headers, which come without a preflight, too."""
        site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin", b"")
        if site is None:  # as over plain HTTP, where they say the origin alone
            is_own = not origin or origin.partition(b"://")[2] == headers.get(b"host")
        else:
            is_own = site not in (b"cross-site", b"same-site")
        return not is_own and origin.decode("latin-1") not in self._origins


class Guarded:
    """An ASGI app behind a gate and a limit of time, whose answers carry headers for browsers."""

    def __init__(self, app: ASGIApp, gate: Gate, seconds: float) -> None:
        self._app = app
        self._gate = gate
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_started = False

        async def send_guarded(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                message["headers"] = [*message.get("headers", ()), *choose_headers(scope)]
            await send(message)

        limit = asyncio.timeout(None if scope["path"] in UNTIMED else self._seconds)
        try:
            with self._gate.admit(scope):
                async with limit:
                    await self._app(scope, receive, send_guarded)
            return
        except (Unauthorized, ForeignPage, TooManyRequests) as error:
            failure: ModelServerError = error
        except TimeoutError:
            if has_started or not limit.expired():
                raise
            message = f"It took longer than {self._seconds:g} seconds. Ask for less, or later."
            failure = RequestTooSlow(message)
        await answer_failure(Request(scope), failure)(scope, receive, send_guarded)


def choose_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    path = scope["path"]
    if path == "/predict" and scope["method"] == "POST":
        return PREDICTION_HEADERS
    return PAGE_HEADERS if path == "/docs" or path.startswith(OPEN_FOLDER) else HEADERS
