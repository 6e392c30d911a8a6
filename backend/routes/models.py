"""Shows what is published."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from catalogue import Catalogue
from problems import problem_responses
from schemas import PublishedModel, PublishedModels

router = APIRouter(tags=["models"])


def _of(request: Request) -> Catalogue:
    catalogue: Catalogue = request.app.state.catalogue
    return catalogue


Folder = Annotated[Catalogue, Depends(_of)]


@router.get("/models", summary="List every version")
def list_models(folder: Folder) -> PublishedModels:
    """Every version, newest first: live, available, or refused with the reason."""
    return PublishedModels(models=folder.list_all())


@router.get("/models/live", summary="Show the live version", responses=problem_responses(503))
def show_live(folder: Folder) -> PublishedModel:
    """The version that answers, with its manifest."""
    return folder.show_live()


@router.get("/models/{version}", summary="Show one version", responses=problem_responses(404))
def show_version(version: str, folder: Folder) -> PublishedModel:
    """One version, with its manifest."""
    return folder.show(version)
