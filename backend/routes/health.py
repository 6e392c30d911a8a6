"""Says whether the service lives, whether it can predict, and what it has counted."""

from fastapi import APIRouter, Request, Response
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from live import Live
from problems import problem_responses
from schemas import Readiness, Status

GONE = "Its file is no longer in the models folder; the model in memory keeps serving."

router = APIRouter(tags=["health"])


@router.head("/", include_in_schema=False)
@router.get("/", summary="Say ok")
async def greet() -> Status:
    return Status(status="ok")


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live", summary="Whether the process lives")
async def answer_liveness() -> Status:
    return Status(status="ok")


@router.head("/health/ready", include_in_schema=False)
@router.get(
    "/health/ready",
    summary="Whether a model is live",
    response_model_exclude_none=True,
    responses=problem_responses(503),
)
async def answer_readiness(live: Live) -> Readiness:
    model = live.model()
    detail = GONE if live.gone else None
    return Readiness(status="ready", model_version=model.version, detail=detail)


@router.get("/metrics", summary="Counters for Prometheus", response_class=Response)
async def expose_metrics(request: Request) -> Response:
    """In the text format of Prometheus."""
    instruments = request.app.state.instruments
    return Response(generate_latest(instruments.registry), media_type=CONTENT_TYPE_LATEST)
