"""Finds what a request of the open protocol is about: the model, its tally, the whole body."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Annotated, TypeVar

from fastapi import Depends, FastAPI, Request

from batch.line import Line
from bodies import read_body
from errors import UnknownModel, shorten
from inference import Ask, LeftToWorker, Model
from journal.counting import TableCounter
from live import Live
from open_inference.exchange import Use
from open_inference.tallies import Tallies

LARGE_BODY = 8192  # bytes; no more rows than keep nobody waiting
TABLE_BODY = 1024**2  # from here on it waits in line, as tables do

Answer = TypeVar("Answer")


@asynccontextmanager
async def keep_tallies(_: FastAPI) -> AsyncIterator[dict[str, Tallies]]:
    """A router's lifespan: what is counted lives as long as the app."""
    yield {"tallies": Tallies()}


def note_use(request: Request, model: Model, tallies: Tallies) -> Use:
    """A request of the open protocol is one entry of the journal, as a table is."""
    state = request.app.state
    counter = TableCounter(model, state.journal.recorder if state.journal else None)
    return Use(tallies.of(model), counter, state.settings.max_batch_rows)


async def read_whole(request: Request) -> bytes:
    return await read_body(request, request.app.state.settings.max_body_bytes)


async def answer_body(
    request: Request, model: Model, answer: Callable[[Ask, bytes], Answer]
) -> Answer:
    """Answer in the model's thread, so that nobody else waits; a large body waits in line."""
    body = await read_whole(request)
    if len(body) <= LARGE_BODY:
        with suppress(LeftToWorker):
            return answer(model.answer_at_once, body)
    work = partial(answer, model.answer, body)
    if len(body) < TABLE_BODY:
        return await model.run(work)
    line: Line = request.state.line
    async with line.place() as place:
        await place.wait_for_turn()
        return await place.run(work)


def _count(request: Request) -> Tallies:
    tallies: Tallies = request.state.tallies
    return tallies


async def _find_live(name: str, live: Live) -> Model:
    return _require_name(live.model(), name)


async def _find_version(name: str, version: str, live: Live) -> Model:
    return _require_name(await live.version(version), name)


def _require_name(model: Model, name: str) -> Model:
    if model.description.name != name:
        known = f"Version {model.version} is of the model {model.description.name}"
        raise UnknownModel(f"There is no model {shorten(name)} here. {known}.")
    return model


Counts = Annotated[Tallies, Depends(_count)]
LiveByName = Annotated[Model, Depends(_find_live)]
Versioned = Annotated[Model, Depends(_find_version)]
