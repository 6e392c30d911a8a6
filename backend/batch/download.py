"""Sends the answer to a batch, as long as the caller is there."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from worker.exchange import Piece

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Pieces = AsyncGenerator[Piece]

STALLED_SECONDS = 30  # in which nothing of the answer is taken


async def unless_gone(request: Request, work: Awaitable[Result]) -> Result:
    """Its result; raises ClientDisconnect as soon as nobody waits for it."""
    working = asyncio.ensure_future(work)
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


class Download(StreamingResponse):
    """Gives up where the caller stops taking what is sent, for others are waiting."""

    def __init__(self, first: Piece, rest: Pieces, **options: Any) -> None:
        """The pieces of an answer, the first of which is made before its status is sent."""
        super().__init__(_chain(first, rest), **options)
        self._rest = rest

    async def stream_response(self, send: Send) -> None:
        async def send_soon(message: Message) -> None:
            async with asyncio.timeout(STALLED_SECONDS):
                await send(message)

        await super().stream_response(send_soon)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._rest):
            try:
                await super().__call__(scope, receive, send)
            except TimeoutError:
                log.warning("download stalled seconds=%d", STALLED_SECONDS)


async def _chain(first: Piece, rest: Pieces) -> Pieces:
    yield first
    async for piece in rest:
        yield piece
