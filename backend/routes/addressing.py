"""Finds what a request of the open protocol is about: the model, its tally, the whole body."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Annotated, TypeVar

from fastapi import Depends, Request

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


async def find_live(request: Request, name: str, live: Live) -> None:
    request.state.model = _require_name(live.model(), name)


async def find_version(request: Request, name: str, version: str, live: Live) -> None:
    request.state.model = _require_name(await live.version(version), name)


def _require_name(model: Model, name: str) -> Model:
    if model.description.name != name:
        known = f"Version {model.version} is of the model {model.description.name}"
        raise UnknownModel(f"There is no model {shorten(name)} here. {known}.")
    return model


async def _get_found(request: Request) -> Model:
    model: Model = request.state.model
    return model


async def _get_tallies(request: Request) -> Tallies:
    tallies: Tallies = request.app.state.tallies
    return tallies


Found = Annotated[Model, Depends(_get_found)]
Counts = Annotated[Tallies, Depends(_get_tallies)]


async def read_whole(request: Request) -> bytes:
    return await read_body(request, request.app.state.settings.max_body_bytes)


async def answer_body(
    request: Request, model: Model, answer: Callable[[Use, Ask, bytes], Answer]
) -> Answer:
    """Answer in the model's thread, so that nobody else waits; a large body waits in line."""
    body = await read_whole(request)
    use = _note_use(request, model)
    if len(body) <= LARGE_BODY:
        with suppress(LeftToWorker):
            return answer(use, model.answer_at_once, body)
    work = partial(answer, use, model.answer, body)
    if len(body) < TABLE_BODY:
        return await model.run(work)
    line: Line = request.state.line
    async with line.place() as place:
        await place.wait_for_turn()
        return await place.run(work)


def _note_use(request: Request, model: Model) -> Use:
    """A request of the open protocol is one entry of the journal, as a table is."""
    state = request.app.state
    counter = TableCounter(model, state.journal.recorder if state.journal else None)
    return Use(model, state.tallies.of(model), counter, state.settings.max_batch_rows)
