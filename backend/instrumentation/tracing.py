"""Sends OpenTelemetry traces of the requests, where a collector is named."""

# ruff: noqa: PLC0415  the packages are there only where they are wanted

import asyncio
import logging
import os
import re
from http import HTTPMethod
from threading import Thread
from time import monotonic
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

SERVICE_NAME = "iris-ml-backend"
UNTRACED = re.compile(r"/|/metrics|(/v2)?/health/.*")
MAX_LENGTH = 256  # of what the caller chooses: a path, a header
FLUSH_SECONDS = 3
QUIET_SECONDS = 60  # between two lines about a collector that is away

# Keys of the middleware's scope: the app's own scope, and what the app raised.
_SCOPE, _FAILURE = "tracing.scope", "tracing.failure"


def trace(app: ASGIApp) -> ASGIApp:
    """The app itself, unless a collector is named and there are the packages to send with."""
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return app
    try:
        return Traced(app, _make_provider())
    except ImportError as missing:
        log.warning(
            "no traces are sent, as a package is missing: %s. Install what is listed in "
            "requirements-tracing.txt; an image takes it in with "
            "`docker compose build --build-arg TRACING=1 backend`.",
            missing,
        )
        return app


def _make_provider() -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = Resource.create().merge(Resource({"service.name": SERVICE_NAME}))
    provider = TracerProvider(
        # The environment's has the last word.
        resource=named.merge(OTELResourceDetector().detect()),
        span_limits=SpanLimits(max_span_attribute_length=MAX_LENGTH),
        shutdown_on_exit=False,  # uvicorn ends itself with the signal it was sent
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    for name in ("exporter.otlp.proto.http.trace_exporter", "sdk._shared_internal"):
        logging.getLogger(f"opentelemetry.{name}").addFilter(_seldom)
    return provider


class Traced:
    """An ASGI app whose requests are spans, named by method and route."""

    def __init__(self, app: ASGIApp, provider: Any) -> None:
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

        # The names of attributes that are stable; without it, the middleware takes those before.
        os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
        self._app = app
        self._provider = provider
        self._instrumented = OpenTelemetryMiddleware(
            self._answer,
            default_span_details=lambda scope: (_name_method(scope), {}),
            tracer_provider=provider,
            exclude_spans=["receive", "send"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._flush_before_end(send))
            return
        if scope["type"] != "http" or UNTRACED.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        seen = {**scope, "query_string": b"", _SCOPE: scope}
        await self._instrumented(seen, receive, send)
        if _FAILURE in seen:
            raise seen[_FAILURE]

    async def _answer(self, seen: Scope, receive: Receive, send: Send) -> None:
        from opentelemetry.trace import StatusCode, get_current_span

        scope, span = seen[_SCOPE], get_current_span()

        async def name(message: Message) -> None:
            if message["type"] == "http.response.start" and (route := _find_route(scope)):
                span.update_name(f"{_name_method(scope)} {route}")
                span.set_attribute("http.route", route)
            await send(message)

        try:
            await self._app(scope, receive, name)
        except Exception as failure:
            # Past the middleware, which would write down what it says, values of instances and all.
            seen[_FAILURE] = failure
            if span.is_recording():
                span.set_status(StatusCode.ERROR)
                span.set_attribute("error.type", type(failure).__name__)

    def _flush_before_end(self, send: Send) -> Send:
        async def flush(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                await asyncio.to_thread(self._flush)
            await send(message)

        return flush

    def _flush(self) -> None:
        thread = Thread(target=self._provider.shutdown, daemon=True)
        thread.start()
        thread.join(FLUSH_SECONDS)  # a collector that is away takes half a minute


def _name_method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in HTTPMethod.__members__ else "HTTP"


def _find_route(scope: Scope) -> str | None:
    """The path of a route, not of a request: anyone can ask for any number of those."""
    route: str | None = getattr(scope.get("route"), "path", None)
    return route


class _Seldom(logging.Filter):
    """Lets one line through in a while: each attempt to reach a collector makes four."""

    _quiet_until = 0.0

    def filter(self, _: logging.LogRecord) -> bool:
        if monotonic() < self._quiet_until:
            return False
        self._quiet_until = monotonic() + QUIET_SECONDS
        return True


_seldom = _Seldom()
