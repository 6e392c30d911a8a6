"""Holds the model that is being served, and replaces it by newer ones."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from itertools import takewhile
from math import inf
from operator import attrgetter
from pathlib import Path
from time import monotonic, time
from typing import Annotated, NamedTuple

from fastapi import Depends, Request

from errors import (
    FolderUnreadable,
    ModelRefused,
    NoModelPublished,
    Reason,
    UnknownVersion,
    VersionRefused,
    shorten,
)
from serving.inference import Model
from serving.repository import PublishedFile

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5  # half a second to be seen, one to be tried out: live within two
DIED = "Its process has ended three times within a minute."
KEPT_VERSIONS = 4  # asked for by name, beside the live one
# Of a machine that was too busy, or short of memory, a model may be innocent.
PASSING = {"hang", "crash"}
RETRY_SECONDS = 60  # the first time, then twice as long each time
LONGEST_RETRY_SECONDS = 3600
MOST_TRIES = 20

Find = Callable[[], list[PublishedFile]]
Load = Callable[[PublishedFile], Model]


class Refused(NamedTuple):
    """A file as it was when it was refused, and the moment from when it is tried again."""

    file: PublishedFile
    refusal: ModelRefused
    retry_at: float


class LiveModel:
    """One reference, replaced whole: a request sees one model from start to end."""

    def __init__(self, find: Find, load: Load) -> None:
        self._find = find
        self._load = load
        self.current: Model | None = None  # what serves
        self.since = 0.0  # the moment it went live
        self.loads = 0
        self.refusals: Counter[Reason] = Counter()
        self.refused_now = 0  # files that are newer than the live model
        self.file: PublishedFile | None = None  # where the live model came from
        self.gone = False  # whether it is only in memory, its file and all others deleted
        self._has_looked = False
        self._kept: dict[PublishedFile, Model] = {}
        self._loading = asyncio.Lock()
        self._refused: dict[Path, Refused] = {}
        self.opened: set[PublishedFile] = set()  # those that have answered their examples
        self._tries: dict[PublishedFile, int] = {}  # that failed, also of one that serves again
        self.trouble: str | None = None  # with the folder itself

    @property
    def live_version(self) -> str | None:
        return self.current.version if self.current else None

    def model(self) -> Model:
        """Raises NoModelPublished while there is none."""
        if self.current is None:
            raise NoModelPublished(self._why_not())
        return self.current

    async def find(self, version: str | None) -> Model:
        """The live model, or that version, loaded on demand.

        Raises NoModelPublished, UnknownVersion or VersionRefused.
        """
        if not version:
            return self.model()
        model = self.current  # once: it may be replaced between two looks
        if model is not None and model.version == version:
            return model
        async with self._loading:  # asked for twice at once, it is loaded once
            return await asyncio.to_thread(self._find_version, version)

    def refusal_of(self, file: PublishedFile) -> ModelRefused | None:
        """Why the file as it is now has been refused, if it has."""
        known = self._known(file)
        return known.refusal if known else None

    def refresh(self) -> None:
        """Serve the newest model that is fit to; keep the present one where there is none."""
        files = self._find()
        self._forget(files)
        for file in takewhile(attrgetter("right_name"), reversed(files)):
            self._try(file)  # so that the log says it once
        self._serve_newest(files)
        self._has_looked = True
        newer = takewhile(self._is_newer, files)
        self.refused_now = sum(self.refusal_of(file) is not None for file in newer)

    def _is_newer(self, file: PublishedFile) -> bool:
        """Than the live one; a file that is misnamed is not."""
        return not file.right_name and (self.file is None or file.order > self.file.order)

    def _serve_newest(self, files: list[PublishedFile]) -> None:
        is_unfit = self.current and self.file and self._is_unfit(self.file, self.current)
        for file in files:
            if self.file and file.path == self.file.path and not is_unfit:
                self.gone = False
                if file != self.file:  # overwritten, which nobody should
                    self._replace(file)
                return
            if self._replace(file):
                return
        if is_unfit:
            self.current = self.file = None
        self.gone = self.current is not None

    def _replace(self, file: PublishedFile) -> bool:
        model = self._try(file)
        if model is None:
            return False
        self.loads, self.since = self.loads + 1, time()
        self.current, self.file, self.gone = model, file, False
        log.info("model live version=%s signature=%s", model.version, model.signature)
        return True

    def _try(self, file: PublishedFile) -> Model | None:
        """None where the file is refused; it is tried again when it changes, or after a while."""
        if (known := self._known(file)) and monotonic() < known.retry_at:
            return None
        try:
            model = self._load(file)
        except ModelRefused as refusal:
            self._refuse(file, refusal)
            return None
        except Exception as error:  # whatever it is, it must not keep newer models away
            self._refuse(file, ModelRefused("crash", f"It could not be loaded: {error!r}."))
            return None
        self._refused.pop(file.path, None)
        self.opened.add(file)
        return model

    def _known(self, file: PublishedFile) -> Refused | None:
        known = self._refused.get(file.path)
        return known if known and known.file == file else None

    def _refuse(self, file: PublishedFile, refusal: ModelRefused) -> None:
        before = self._refused.get(file.path)
        tries = self._tries[file] = min(self._tries.get(file, 0) + 1, MOST_TRIES)
        pause = min(RETRY_SECONDS * 2 ** (tries - 1), LONGEST_RETRY_SECONDS)
        retry_at = monotonic() + pause if refusal.reason in PASSING else inf
        # The frames it came from hold the pickle, and files of the process it was tried out in.
        refusal.__traceback__ = refusal.__context__ = None
        self._refused[file.path] = Refused(file, refusal, retry_at)
        # A file that is still being written is refused twice a second, and worth one line.
        if before is None or before.refusal.reason != refusal.reason:
            log.error("model refused file=%s reason=%s", file.path.name, refusal)
            self.refusals[refusal.reason] += 1

    def _forget(self, files: list[PublishedFile]) -> None:
        """Drop what is known of files that are gone."""
        paths = {file.path for file in files}
        for path in set(self._refused) - paths:
            self._refused.pop(path, None)
        for file in set(self._tries) - set(files):
            self._tries.pop(file, None)
        self.opened.intersection_update(files)

    def _is_unfit(self, file: PublishedFile, model: Model) -> bool:
        """Whether its process has died too often; then it is refused."""
        if model.worker.is_unfit:
            self._refuse(file, ModelRefused("crash", DIED))
        return model.worker.is_unfit

    def _find_version(self, version: str) -> Model:
        files = self._find()
        file = next((file for file in files if file.version == version), None)
        if file is None:
            known = ", ".join(it.version for it in files[:20] if not it.right_name) or "none"
            raise UnknownVersion(
                f"There is no version {shorten(version)}. The newest are: {known}."
            )
        model = self._kept.pop(file, None)
        if model is None or self._is_unfit(file, model):
            model = self._try(file)
        if model is None:
            raise VersionRefused(f"{file.path.name} is refused: {self.refusal_of(file)}")
        self._kept[file] = model
        if len(self._kept) > KEPT_VERSIONS:
            del self._kept[next(iter(self._kept))]
        return model

    def _why_not(self) -> str:
        if self.trouble:
            return self.trouble
        if not self._has_looked:
            return "The models folder is being looked at. Ask again in a moment."
        if not self._refused:
            return "No model is published yet. Train one with `make train`, or wait for the first."
        newest = max(self._refused.values(), key=lambda refused: refused.file.order)
        said = f"{newest.file.path.name} is refused: {newest.refusal}"
        return f"No published model is fit to serve. {said}"


async def watch(live: LiveModel, share: Callable[[str | None], None]) -> None:
    """Poll the folder for as long as the service runs, off the request path.

    After each look, the counts are shared with the other workers.
    """
    while True:
        try:
            await asyncio.to_thread(live.refresh)
            await asyncio.to_thread(share, live.live_version)
            live.trouble = None
        except Exception as error:  # whatever it is, newer models have to go live
            known = isinstance(error, FolderUnreadable)
            trouble = str(error) if known else f"The models folder cannot be watched: {error!r}."
            if live.trouble != trouble:  # once, not at every look
                log.error("models folder unreadable error=%s", error)
            live.trouble = trouble
        await asyncio.sleep(POLL_SECONDS)


async def _find_live(request: Request) -> LiveModel:
    live: LiveModel = request.app.state.live
    return live


Live = Annotated[LiveModel, Depends(_find_live)]
