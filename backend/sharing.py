"""Answers requests that wait at the same time by one call, and lets none wait for more."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Instance = TypeVar("Instance")
Answer = TypeVar("Answer")


MOST_AT_ONCE = 64  # so that nobody waits long for the others


class SharedCall(Generic[Instance, Answer]):
    """A function of many instances, to be asked one at a time on an event loop."""

    def __init__(self, function: Callable[[list[Instance]], Awaitable[list[Answer]]]) -> None:
        self._function = function
        self._waiting: list[tuple[Instance, asyncio.Future[Answer]]] = []
        self._running: asyncio.Task[None] | None = None

    async def ask(self, instance: Instance) -> Answer:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((instance, future))
        if self._running is None or self._running.done():
            # After the requests that have come by now, and before the loop looks for new ones.
            self._running = loop.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            await self._answer(waiting)

    async def _answer(self, waiting: list[tuple[Instance, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._function([instance for instance, _ in waiting])
        except Exception as error:  # whatever it is, nobody may wait for ever
            for _, future in waiting:
                if not future.cancelled():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(waiting, answers, strict=True):
            if not future.cancelled():
                future.set_result(answer)
