"""Answers requests that wait at the same time by one call, and lets none wait for more."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Instance = TypeVar("Instance")
Answer = TypeVar("Answer")

Function = Callable[[list[Instance]], Awaitable[list[Answer]]]

MOST_AT_ONCE = 64  # so that nobody waits long for the others


class SharedCall(Generic[Instance, Answer]):
    """Asks a function of many instances one at a time, on an event loop."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Instance, asyncio.Future[Answer]]] = []
        self._running: asyncio.Task[None] | None = None

    async def ask(self, instance: Instance, function: Function[Instance, Answer]) -> Answer:
        """The function is not kept: it may belong to the one that keeps this."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((instance, future))
        if self._running is None or self._running.done():
            # After the requests that have come by now, and before the loop looks for new ones.
            self._running = loop.create_task(self._run(function))
        return await future

    async def _run(self, function: Function[Instance, Answer]) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            await _answer(waiting, function)


async def _answer(
    waiting: list[tuple[Instance, asyncio.Future[Answer]]], function: Function[Instance, Answer]
) -> None:
    try:
        answers = await function([instance for instance, _ in waiting])
    except Exception as error:  # whatever it is, nobody may wait for ever
        for _, future in waiting:
            if not future.cancelled():
                future.set_exception(error)
        return
    for (_, future), answer in zip(waiting, answers, strict=True):
        if not future.cancelled():
            future.set_result(answer)
