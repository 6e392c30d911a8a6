"""Assembles the app and starts the watcher."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp

from catalogue import Catalogue
from instrumentation import Instrumented, Instruments
from live import LiveModel, watch
from loading import load
from openapi import describe_with_live_model
from problems import add_problem_handlers
from routes import batch, explain, health, kserve, models, monitoring, open_inference, predict
from settings import Settings, read_settings
from shortcut import Shortcut


def create_app(settings: Settings) -> ASGIApp:
    logging.basicConfig(level=settings.log_level, format="%(levelname)s: %(name)s: %(message)s")
    instruments = Instruments()
    live = LiveModel(settings.models_dir, partial(load, settings=settings), instruments)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # What is imported stays, so that collections need not look at it: a tenth of a second each.
        gc.freeze()
        watcher = asyncio.create_task(watch(live))
        yield
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher

    app = FastAPIOffline(  # /docs with its scripts from here, not from a CDN
        title="Iris ML",
        version="0.1.0",
        description="Predictions of the newest published model.",
        redoc_url=None,
        redirect_slashes=False,  # to an address made of the caller's Host header
        lifespan=lifespan,
    )
    app.state.live = live
    app.state.settings = settings
    app.state.instruments = instruments
    app.state.catalogue = Catalogue(live, settings)
    app.openapi = describe_with_live_model(app, live)  # type: ignore[method-assign]
    add_problem_handlers(app)
    for routes in (predict, batch, explain, models, open_inference, kserve, monitoring, health):
        app.include_router(routes.router)
    return Shortcut(Instrumented(app, instruments), live, instruments, settings.max_body_bytes)


app = create_app(read_settings())
