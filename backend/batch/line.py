"""Lets one batch be scored at a time, in a thread of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar

from fastapi import Depends, FastAPI, Request

from bodies import Uploads
from errors import TooManyBatches
from worker.nursery import WorkerProcess

MAX_WAITING = 8  # each with a body in memory

Result = TypeVar("Result")


class Place:
    """One batch's place in the line."""

    def __init__(self, line: "Line") -> None:
        self.process: WorkerProcess | None = None  # that scores it
        self._line = line
        self._has_left = self._has_turn = False

    async def wait_for_turn(self) -> None:
        """Take the place, once the body is there, and wait; raises TooManyBatches."""
        line = self._line
        if len(line.taken) > MAX_WAITING:
            raise TooManyBatches(f"{MAX_WAITING} batches are waiting. Send this one again later.")
        line.taken.add(self)
        await line.turn.acquire()
        self._has_turn = True

    async def run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._line.thread, work)

    def employ(self, process: WorkerProcess) -> None:
        """Have it end as soon as the caller has left, from the thread."""
        self.process = process
        if self._has_left:
            process.hang_up()

    def leave(self) -> None:
        """The thread is free at once: it waits for nothing but the process."""
        self._has_left = True
        if self.process:
            self.process.hang_up()
        self._line.taken.discard(self)
        if self._has_turn:
            self._line.turn.release()


class Line:
    """All batches there are: one that is scored, and those that wait."""

    def __init__(self) -> None:
        self.taken: set[Place] = set()
        self.turn = asyncio.Lock()
        self.thread = ThreadPoolExecutor(1, "batch")

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Place]:
        """A place to be taken, given up at the end."""
        place = Place(self)
        try:
            yield place
        finally:
            place.leave()

    def close(self) -> None:
        self.thread.shutdown(wait=False, cancel_futures=True)


@asynccontextmanager
async def keep_line(app: FastAPI) -> AsyncIterator[dict[str, Line | Uploads]]:
    """A router's lifespan: the thread ends with the app."""
    line = Line()
    # As many of the largest bodies may come in at once as there are places.
    uploads = Uploads((MAX_WAITING + 1) * app.state.settings.max_body_bytes)
    yield {"line": line, "uploads": uploads}
    line.close()


async def _take_place(request: Request) -> AsyncIterator[Place]:
    """Kept until the last byte of the answer is sent, or the caller is gone."""
    line: Line = request.state.line
    async with line.place() as place:
        yield place


Placed = Annotated[Place, Depends(_take_place)]
