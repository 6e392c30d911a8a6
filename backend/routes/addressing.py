"""Finds what a request of the open protocol is about: the model, its tally, the whole body."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Concatenate, ParamSpec, TypeVar

from fastapi import Depends, FastAPI, Request

from bodies import read_body
from errors import UnknownModel, shorten
from inference import Model
from journal.counting import TableCounter
from live import Live
from open_inference.tallies import Tallies

LARGE_BODY = 8192  # bytes; no more rows than keep nobody waiting

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


@asynccontextmanager
async def keep_tallies(_: FastAPI) -> AsyncIterator[dict[str, Tallies]]:
    """A router's lifespan: what is counted lives as long as the app."""
    yield {"tallies": Tallies()}


def count_rows(request: Request, model: Model) -> TableCounter:
    """A request of the open protocol is one entry of the journal, as a table is."""
    journal = request.app.state.journal
    return TableCounter(model, journal.recorder if journal else None)


async def read_whole(request: Request) -> bytes:
    return await read_body(request, request.app.state.settings.max_body_bytes)


async def run(
    answer: Callable[Concatenate[Model, bytes, Arguments], Answer],
    model: Model,
    body: bytes,
    *args: Arguments.args,
    **kwargs: Arguments.kwargs,
) -> Answer:
    """In a thread where the body is large, so that others are not kept waiting."""
    if len(body) > LARGE_BODY:
        return await asyncio.to_thread(answer, model, body, *args, **kwargs)
    return answer(model, body, *args, **kwargs)


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
