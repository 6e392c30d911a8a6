"""Assembles the app and starts the watcher."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from instrumentation.aggregation import join_workers
from instrumentation.instruments import Instruments
from instrumentation.logs import RequestLog, set_up_logs
from instrumentation.tracing import trace
from journal.journal import open_journal
from journal.ledger import Ledger
from monitoring.prometheus import expose_live
from open_inference.statistics import ServerStatistics
from routes import (
    batch,
    explain,
    feedback,
    health,
    models,
    monitoring,
    open_inference,
    predict,
)
from serving.catalogue import Catalogue
from serving.live import LiveModel, watch
from serving.loading import load
from serving.manifests import Manifests
from settings import Settings, read_settings
from web.entrance import Entrance
from web.openapi import describe_with_live_model
from web.problems import add_problem_handlers
from web.security import Gate, Guarded
from worker.nursery import find_nursery


def create_app(settings: Settings) -> ASGIApp:
    log = set_up_logs(settings)
    instruments = Instruments(join_workers())
    nursery = find_nursery()
    nursery.start()
    manifests = Manifests(settings)
    open_model = partial(load, manifests=manifests, settings=settings, nursery=nursery)
    live = LiveModel(manifests.find, open_model)
    instruments.own.append(partial(expose_live, live))
    app = _assemble(settings, live, instruments, log)
    app.state.catalogue = Catalogue(live, manifests, settings.max_model_bytes)
    gate = Gate(settings)
    guarded: ASGIApp = Guarded(app, gate, settings.request_seconds)
    if settings.allowed_origins:
        guarded = CORSMiddleware(
            guarded,
            allow_origins=settings.allowed_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-ID"],
            expose_headers=["X-Request-ID", *batch.HEADERS, "Retry-After"],
        )
    return trace(Entrance(guarded, gate, live, instruments, app.state.ledger))


def _assemble(
    settings: Settings, live: LiveModel, instruments: Instruments, log: RequestLog
) -> FastAPI:
    app = FastAPIOffline(  # /docs with its scripts from here, not from a CDN
        title="Iris ML",
        version="0.1.0",
        description="Predictions of the newest published model.",
        redoc_url=None,
        redirect_slashes=False,  # to an address made of the caller's Host header
        lifespan=_run,
    )
    journal = open_journal(settings, live)
    app.state.live = live
    app.state.settings = settings
    app.state.instruments = instruments
    app.state.journal = journal
    app.state.statistics = ServerStatistics()
    app.state.ledger = Ledger(log, journal.recorder if journal else None)
    app.openapi = describe_with_live_model(app, live)  # type: ignore[method-assign]
    add_problem_handlers(app)
    for routes in (predict, batch, explain, models, open_inference, monitoring, health):
        app.include_router(routes.router)
    if journal:
        app.include_router(feedback.router)
        instruments.own.append(journal.expose)
    return app


@asynccontextmanager
async def _run(app: FastAPI) -> AsyncIterator[dict[str, Instruments]]:
    """Watch the models folder, and write the journal, for as long as the app lives."""
    # What is imported stays, so that collections need not look at it: a tenth of a second each.
    gc.freeze()
    instruments = app.state.instruments
    watcher = asyncio.create_task(watch(app.state.live, instruments.share))
    reader = asyncio.create_task(asyncio.to_thread(app.state.catalogue.read_ahead))
    journal = app.state.journal
    if journal:  # its writer starts while the watcher loads a model
        await asyncio.to_thread(journal.recorder.start)
    yield {"instruments": instruments}  # for connections, which know no app
    await reader
    watcher.cancel()
    with suppress(asyncio.CancelledError):
        await watcher
    app.state.ledger.close()
    if journal:
        await asyncio.to_thread(journal.close)


app = create_app(read_settings())
