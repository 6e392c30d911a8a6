"""Says whether the service lives and whether it can predict."""

from fastapi import APIRouter

from live import Live
from problems import problem_responses
from schemas import Readiness, Status

router = APIRouter(tags=["health"])


@router.get("/")
async def greet() -> Status:
    return Status(status="ok")


@router.get("/health/live")
async def answer_liveness() -> Status:
    return Status(status="ok")


@router.get("/health/ready", responses=problem_responses(503))
async def answer_readiness(live: Live) -> Readiness:
    return Readiness(status="ready", model_version=live.model().version)
