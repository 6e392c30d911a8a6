"""Says whether the service lives, and whether it can predict."""

from fastapi import APIRouter

from schemas import Readiness, Status
from serving.live import Live
from web.problems import problem_responses

KEPT = "The model in memory keeps serving."
GONE = f"Its file is no longer in the models folder. {KEPT}"

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
    detail = f"{live.trouble} {KEPT}" if live.trouble else GONE if live.gone else None
    return Readiness(status="ready", model_version=model.version, detail=detail)
