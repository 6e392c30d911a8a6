"""Shows what is published."""

from fastapi import APIRouter

from live import Live
from problems import problem_responses
from schemas import Published

router = APIRouter(tags=["models"])


@router.get("/models/live", responses=problem_responses(503))
async def show_live(live: Live) -> Published:
    model = live.model()
    return Published(version=model.version, state="live", manifest=model.manifest)
