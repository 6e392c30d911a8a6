"""Lets one batch be scored at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from fastapi import FastAPI

from errors import TooManyBatches
from web.bodies import Uploads

MAX_WAITING = 8  # each with a body in memory

Result = TypeVar("Result")


class Queue:
    """All batches there are: one that is scored, and those that wait."""

    def __init__(self) -> None:
        self.taken = 0
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "batch")

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One batch's, once its body is there; raises TooManyBatches."""
        if self.taken > MAX_WAITING:
            raise TooManyBatches(f"{MAX_WAITING} batches are waiting. Send this one again later.")
        self.taken += 1
        try:
            async with self._turn:
                yield
        finally:
            self.taken -= 1

    async def run(self, work: Callable[[], Result]) -> Result:
        """Call it in the one thread there is: it goes on even if its caller has left."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


@asynccontextmanager
async def keep_queue(app: FastAPI) -> AsyncIterator[dict[str, Queue | Uploads]]:
    """A router's lifespan: the thread ends with the app."""
    queue = Queue()
    # As many of the largest bodies may come in at once as there are places.
    uploads = Uploads((MAX_WAITING + 1) * app.state.settings.max_body_bytes)
    yield {"queue": queue, "uploads": uploads}
    queue.close()
