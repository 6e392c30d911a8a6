"""Holds the model that is being served."""

import asyncio
import logging
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from errors import ModelRefused, NoModelPublished
from inference import Model
from loading import load
from repository import PublishedFile, find_published

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0


class LiveModel:
    """One reference, replaced whole: a request sees one model from start to end."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._model: Model | None = None
        self._refused: dict[PublishedFile, str] = {}

    def model(self) -> Model:
        """Raises NoModelPublished while there is none."""
        if self._model is None:
            raise NoModelPublished(self._why_not())
        return self._model

    def refresh(self) -> None:
        """Serve the newest model that is fit to; keep the present one where none is newer."""
        for file in find_published(self._directory):
            if self._model and file.version == self._model.version:
                return
            if file not in self._refused and self._replace(file):
                return

    def _replace(self, file: PublishedFile) -> bool:
        try:
            self._model = load(file)
        except (ModelRefused, OSError) as reason:
            self._refused[file] = f"{file.path.name}: {reason}"
            log.error("model refused file=%s reason=%s", file.path.name, reason)
            return False
        log.info("model live version=%s", file.version)
        return True

    def _why_not(self) -> str:
        if not self._refused:
            return "No model is published yet. Train one with `make train`, or wait for the first."
        return f"No published model is fit to serve. {next(iter(self._refused.values()))}"


async def watch(live: LiveModel) -> None:
    """Poll the folder for as long as the service runs, off the request path."""
    while True:
        try:
            await asyncio.to_thread(live.refresh)
        except OSError as error:
            log.error("models folder unreadable error=%s", error)
        await asyncio.sleep(POLL_SECONDS)


def _of(request: Request) -> LiveModel:
    live: LiveModel = request.app.state.live
    return live


Live = Annotated[LiveModel, Depends(_of)]
