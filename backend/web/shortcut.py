"""Answers plain predictions before the framework's routing, which takes ten times as long."""

from collections.abc import Mapping
from time import perf_counter, time

from pydantic_core import to_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from instrumentation.instruments import Instruments
from instrumentation.logs import read_request_id
from journal.ledger import Ledger
from schemas import Prediction, Value
from serving.inference import Model
from serving.live import LiveModel
from settings import Settings
from web.security import PREDICTION_HEADERS, Keys

Answer = tuple[Model, Prediction, list[Value]]


class Shortcut:
    """An ASGI app before another, which answers the same and all the rest, errors above all."""

    def __init__(self, app: ASGIApp, live: LiveModel, ledger: Ledger, settings: Settings) -> None:
        self._app = app
        self.live = live
        self._ledger = ledger
        self._instruments: Instruments = live.instruments
        self._keys = Keys(settings.api_keys) if settings.api_keys else None
        self._max_body_bytes = settings.max_body_bytes
        self._max_concurrent = settings.max_concurrent_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/predict":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if not self._is_plain(scope, headers):
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        self._instruments.in_flight += 1
        try:
            message = await receive()
            answer = await self._answer(message)
        finally:
            self._instruments.in_flight -= 1
        if answer is None:
            await self._app(scope, _replay(message, receive), send)
            return
        model, prediction, values = answer
        called = headers.get(b"x-request-id")
        identifier = (called and read_request_id(called)) or prediction["prediction_id"]
        content = to_json(prediction)
        sent = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(content)),
            *PREDICTION_HEADERS,
            (b"x-request-id", identifier.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": sent})
        await send({"type": "http.response.body", "body": content})
        seconds = perf_counter() - started
        answered = ("POST", "/predict", 200, seconds, identifier, time())
        self._instruments.count(answered)
        self._ledger.add((model, prediction, values, answered))

    def _is_plain(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        """Whether it is JSON for the live model, declared in the usual way, by who may ask."""
        return (
            headers.get(b"content-type") == b"application/json"
            and scope["method"] == "POST"
            and not scope["query_string"]
            and b"content-encoding" not in headers
            and b"expect" not in headers  # to receive is to ask for the body, whatever its size
            and b"origin" not in headers  # a browser's, which are looked at one by one
            and self._instruments.admitted < self._max_concurrent
            and (not self._keys or self._keys.admit(headers))
        )

    async def _answer(self, message: Message) -> Answer | None:
        """None where the app has to say what is wrong."""
        if message["type"] != "http.request" or message.get("more_body"):
            return None  # in pieces, or the client has gone
        try:
            model = self.live.model()
            body = message["body"]
            if len(body) > min(model.max_body_bytes, self._max_body_bytes):
                return None
            values = model.read_instance(body)
            return model, await model.predict(values), values
        except Exception:  # whatever it is, it comes again and is answered there
            return None


def _replay(message: Message, receive: Receive) -> Receive:
    """A receive that gives the message once more, then what follows it."""
    messages = [message]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
