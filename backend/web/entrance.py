"""Names, counts and logs every request, and answers plain predictions itself.

The framework's routing takes ten times as long as a prediction.
"""

from collections.abc import Mapping
from time import perf_counter, time
from typing import NamedTuple

from pydantic_core import to_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from instrumentation.identifiers import make_identifier
from instrumentation.instruments import Instruments
from instrumentation.logs import read_request_id, request_id
from journal.ledger import Ledger
from serving.live import LiveModel
from web.security import Gate, choose_headers

# Keys of a scope: the name of the request, and the status it got.
CALLED, STATUS = "entrance.request_id", "entrance.status"
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class Route(NamedTuple):
    """The route of a scope that the framework has not seen."""

    path: str


PREDICT = Route("/predict")


class Entrance:
    """The outermost ASGI app; it passes on what it does not answer, errors above all."""

    def __init__(
        self, app: ASGIApp, gate: Gate, live: LiveModel, instruments: Instruments, ledger: Ledger
    ) -> None:
        self._app = app
        self.gate = gate
        self.live = live
        self.instruments = instruments
        self._ledger = ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, headers = perf_counter(), dict(scope["headers"])
        sent = headers.get(b"x-request-id")
        scope[CALLED] = sent and read_request_id(sent)
        self.instruments.in_flight += 1
        try:
            if self._is_plain(scope, headers):
                message = await receive()
                if await self._predict(scope, message, send):
                    return
                receive = _replay(message, receive)
            await self._pass_on(scope, receive, send)
        finally:
            self.instruments.in_flight -= 1
            self._note(scope, perf_counter() - started)

    def _is_plain(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        """Whether it is JSON for the live model, declared in the usual way, by who may ask."""
        return (
            scope["path"] == "/predict"
            and headers.get(b"content-type") == b"application/json"
            and scope["method"] == "POST"
            and not scope["query_string"]
            and b"content-encoding" not in headers
            and b"expect" not in headers  # to receive is to ask for the body, whatever its size
            and b"origin" not in headers  # a browser's, which are looked at one by one
            and self.gate.has_room
            and self.gate.knows(headers)
        )

    async def _predict(self, scope: Scope, message: Message, send: Send) -> bool:
        """Whether it is answered; if not, the app has to say what is wrong."""
        if message["type"] != "http.request" or message.get("more_body"):
            return False  # in pieces, or the client has gone
        if not self.gate.has_room:  # by now
            return False
        self.gate.admitted += 1
        try:
            model = self.live.model()
            if len(message["body"]) > model.max_body_bytes:
                return False
            values = model.read_instance(message["body"])
            prediction = await model.predict(values)
        except Exception:  # whatever it is, it comes again and is answered there
            return False
        finally:
            self.gate.admitted -= 1
        scope["route"], scope[STATUS] = PREDICT, 200
        scope[CALLED] = called = scope[CALLED] or prediction["prediction_id"]
        content = to_json(prediction)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(content)),
            *choose_headers(scope),
            (b"x-request-id", called.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})
        self._ledger.add(model, prediction, values)
        return True

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[CALLED] = called = scope[CALLED] or make_identifier()
        request_id.set(called)

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                scope[STATUS] = message["status"]
                name = (b"x-request-id", called.encode())
                message["headers"] = [*message.get("headers", ()), name]
            await send(message)

        await self._app(scope, receive, send_named)

    def _note(self, scope: Scope, seconds: float) -> None:
        # The path of a route, not of a request: anyone can ask for any number of those.
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in METHODS else "other"
        status, called = scope.get(STATUS, 500), scope[CALLED] or make_identifier()
        answered = (method, route, status, seconds, called, time())
        self.instruments.count(answered)
        self._ledger.log(answered)


def _replay(message: Message, receive: Receive) -> Receive:
    """A receive that gives the message once more, then what follows it."""
    messages = [message]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
