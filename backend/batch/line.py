"""Lets one batch be scored at a time, in a thread of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from threading import Event
from typing import Annotated, TypeVar

import pyarrow as pa
from fastapi import Depends, FastAPI, Request

from errors import TooManyBatches

MAX_WAITING = 8  # each with a body in memory

Result = TypeVar("Result")


class Place:
    """One batch's place in the line; `left` tells its thread to stop."""

    def __init__(self, turn: asyncio.Lock, thread: ThreadPoolExecutor) -> None:
        self.left = Event()
        self._turn = turn
        self._thread = thread
        self._has_turn = False

    async def wait_for_turn(self) -> None:
        await self._turn.acquire()
        self._has_turn = True

    async def run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def leave(self) -> None:
        """The thread has one more chunk at most to finish, and takes the next batch after it."""
        self.left.set()
        if self._has_turn:
            self._turn.release()
            self._thread.submit(pa.default_memory_pool().release_unused)


class Line:
    """All batches there are: one that is scored, and those that wait."""

    def __init__(self) -> None:
        self._taken = 0
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "batch")

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Place]:
        """Raises TooManyBatches where there is none."""
        if self._taken > MAX_WAITING:
            raise TooManyBatches(f"{MAX_WAITING} batches are waiting. Send this one again later.")
        self._taken += 1
        place = Place(self._turn, self._thread)
        try:
            yield place
        finally:
            self._taken -= 1
            place.leave()

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


@asynccontextmanager
async def keep_line(_: FastAPI) -> AsyncIterator[dict[str, Line]]:
    """A router's lifespan: the thread ends with the app."""
    line = Line()
    yield {"line": line}
    line.close()


async def _take_place(request: Request) -> AsyncIterator[Place]:
    """Kept until the last byte of the answer is sent, or the caller is gone."""
    line: Line = request.state.line
    async with line.place() as place:
        yield place


Placed = Annotated[Place, Depends(_take_place)]
