"""Has a batch scored and sends its answer, as long as the caller is there."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterator
from functools import partial
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from batch.line import Place

log = logging.getLogger(__name__)

Result = TypeVar("Result")

STALLED_SECONDS = 30  # in which nothing of the answer is taken


async def unless_gone(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of the work; raises ClientDisconnect as soon as nobody waits for it."""
    working = asyncio.create_task(work)
    watching = asyncio.create_task(_watch(request))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.wait({working, watching})  # or two would watch, once the answer does


async def _watch(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


Pieces = Iterator[bytes | memoryview]


async def start(place: Place, pieces: Pieces) -> AsyncIterator[bytes | memoryview]:
    """The pieces of an answer, the first of them made in our turn; raises TooManyBatches."""
    await place.wait_for_turn()
    return _go_on(place, pieces, await place.run(partial(next, pieces, None)))


async def _go_on(
    place: Place, pieces: Pieces, piece: bytes | memoryview | None
) -> AsyncIterator[bytes | memoryview]:
    while piece is not None:
        yield piece
        piece = await place.run(partial(next, pieces, None))


class Download(StreamingResponse):
    """Gives up where the caller stops taking what is sent, for others are waiting."""

    async def stream_response(self, send: Send) -> None:
        async def send_soon(message: Message) -> None:
            async with asyncio.timeout(STALLED_SECONDS):
                await send(message)

        await super().stream_response(send_soon)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except TimeoutError:
            log.warning("download stalled seconds=%d", STALLED_SECONDS)
