"""Answers plain predictions before the framework's routing, which takes ten times as long."""

from time import perf_counter

from pydantic_core import to_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from instrumentation import Instruments
from live import LiveModel


class Shortcut:
    """An ASGI app before another, which answers the same and all the rest, errors above all."""

    def __init__(
        self, app: ASGIApp, live: LiveModel, instruments: Instruments, max_body_bytes: int
    ) -> None:
        self._app = app
        self.live = live
        self._count = instruments.count_prediction
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_plain_prediction(scope):
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        message = await receive()
        content = await self._answer(message)
        if content is None:
            await self._app(scope, _replay(message, receive), send)
            return
        length = str(len(content)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})
        self._count(perf_counter() - started)

    async def _answer(self, message: Message) -> bytes | None:
        """None where the app has to say what is wrong."""
        if message["type"] != "http.request" or message.get("more_body"):
            return None  # in pieces, or the client has gone
        try:
            model = self.live.model()
            body = message["body"]
            if len(body) > min(model.max_body_bytes, self._max_body_bytes):
                return None
            return to_json(await model.predict(model.read_instance(body)))
        except Exception:  # whatever it is, it comes again and is answered there
            return None


def _is_plain_prediction(scope: Scope) -> bool:
    """Whether it is JSON for the live model, declared in the usual way."""
    if scope["type"] != "http" or scope["path"] != "/predict" or scope["method"] != "POST":
        return False
    is_json = False
    for name, value in scope["headers"]:
        if name == b"content-type":
            is_json = value == b"application/json"
        elif name == b"content-encoding":
            return False
    return is_json and not scope["query_string"]


def _replay(message: Message, receive: Receive) -> Receive:
    """A receive that gives the message once more, then what follows it."""
    messages = [message]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
