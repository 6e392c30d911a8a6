"""Shows what the service has counted."""

from functools import partial

from fastapi import APIRouter, Request, Response
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from instrumentation.aggregation import Sum
from journal.journal import Journal
from monitoring.prometheus import expose_report
from monitoring.reports import Monitoring, Report
from monitoring.snapshot import take_snapshot
from serving.inference import Model
from serving.live import Live

router = APIRouter(tags=["monitoring"])


@router.get("/monitoring", summary="What the service has counted")
async def show_monitoring(request: Request, live: Live) -> Monitoring:
    """Requests by route since it started, rows by class since the model went live, and what the
    journal tells: drift against the training table, how right the labelled predictions were.

    Latencies are estimated from the buckets of `/metrics`.
    """
    model = live.current  # which may be replaced while the journal is read
    report = await _read_report(request, model)
    return take_snapshot(request.app.state.instruments, model, report)


@router.get("/metrics", summary="Counters for Prometheus", response_class=Response)
async def expose_metrics(request: Request, live: Live) -> Response:
    """In the text format of Prometheus."""
    report = await _read_report(request, live.current)
    everything = request.app.state.instruments.everything(live.live_version)
    exposed = Sum([everything.collect, partial(expose_report, report)])
    return Response(generate_latest(exposed), media_type=CONTENT_TYPE_LATEST)


async def _read_report(request: Request, model: Model | None) -> Report:
    journal: Journal | None = request.app.state.journal
    return await journal.report(model) if journal else Report()
