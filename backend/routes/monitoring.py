"""Shows what this process has counted."""

from fastapi import APIRouter, Request

from live import Live
from monitoring import take_snapshot
from schemas import Monitoring

router = APIRouter(tags=["monitoring"])


@router.get("/monitoring", summary="What this process has counted")
async def show_monitoring(request: Request, live: Live) -> Monitoring:
    """Requests by route since the process started, and rows by class since the model went live.

    Latencies are estimated from the buckets of `/metrics`. Drift and accuracy are not known yet.
    """
    return take_snapshot(request.app.state.instruments, live)
