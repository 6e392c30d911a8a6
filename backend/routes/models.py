"""Shows what is published."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from schemas import PublishedModel, PublishedModels
from serving.catalogue import Catalogue
from web.problems import problem_responses

router = APIRouter(tags=["models"])


async def _of(request: Request) -> Catalogue:
    catalogue: Catalogue = request.app.state.catalogue
    return catalogue


Folder = Annotated[Catalogue, Depends(_of)]


@router.get(
    "/models",
    summary="List every version",
    response_model=PublishedModels,
    responses=problem_responses(503),
)
def list_models(folder: Folder) -> Response:
    """Every version, newest first: live, available, unverified, or refused with the reason."""
    entries = b",".join(line.entry for line in folder.list_all())
    return Response(b'{"models":[%b]}' % entries, media_type="application/json")


@router.get("/models/live", summary="Show the live version", responses=problem_responses(503))
def show_live(folder: Folder) -> PublishedModel:
    """The version that answers, with its manifest."""
    return folder.show_live()


@router.get("/models/{version}", summary="Show one version", responses=problem_responses(404, 503))
def show_version(version: str, folder: Folder) -> PublishedModel:
    """One version, with its manifest."""
    return folder.show(version)
