"""Answers requests that wait at the same time by one call, and lets none wait for more."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Instance = TypeVar("Instance")
Answer = TypeVar("Answer")


class SharedCall(Generic[Instance, Answer]):
    """A function of many instances, to be asked one at a time on an event loop."""

    def __init__(self, function: Callable[[list[Instance]], list[Answer]]) -> None:
        self._function = function
        self._waiting: list[tuple[Instance, asyncio.Future[Answer]]] = []

    async def ask(self, instance: Instance) -> Answer:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((instance, future))
        if len(self._waiting) == 1:
            # After the requests that have come by now, and before the loop looks for new ones.
            loop.call_soon(self._answer)
        return await future

    def _answer(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            answers = self._function([instance for instance, _ in waiting])
        except Exception as error:  # an estimator can raise anything, and nobody may wait for ever
            for _, future in waiting:
                if not future.cancelled():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(waiting, answers, strict=True):
            if not future.cancelled():
                future.set_result(answer)
