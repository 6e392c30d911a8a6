"""Lets the second-best published version answer what the live one has answered."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from operator import itemgetter
from threading import Thread
from time import monotonic

from errors import FolderUnreadable, ModelRefused, ModelServerError
from schemas import Description, Value
from serving.inference import Model
from serving.loading import load
from serving.manifests import Manifests
from serving.repository import PublishedFile
from settings import Settings
from worker.nursery import find_nursery

log = logging.getLogger(__name__)

LOOK_SECONDS = 5
METRIC = "log_loss"  # by which the trainer chooses too
MOST_ROWS = 5_000  # at once; an array of them is asked


class Shadow:
    """The challenger of the model that is live, looked for and loaded beside the work."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._manifests = Manifests(settings)
        self._model: Model | None = None
        self._seen: tuple[str, list[PublishedFile]] | None = None  # the live version, the folder
        self._next = 0.0
        self._looking: Thread | None = None

    def answer(
        self, live: Description, instances: Sequence[list[Value]], is_behind: bool
    ) -> tuple[str | None, list[str | None]]:
        """Its version and its classes, None where it has no answer, or not the time for one."""
        self._look(live)
        nothing: list[str | None] = [None] * len(instances)
        model = self._model
        if model is None or self._seen is None or self._seen[0] != live.version:
            return None, nothing
        if is_behind or len(instances) > MOST_ROWS:
            return model.version, nothing
        try:
            indices, _ = model.answer(model.to_array(instances))
        except ModelServerError as error:  # what the journal writes must not wait for it
            log.warning("shadow has no answer version=%s error=%s", model.version, error)
            return model.version, nothing
        named = dict(enumerate(model.classes))  # -1 is none of them
        return model.version, [named.get(index) for index in indices.tolist()]

    def _look(self, live: Description) -> None:
        is_new = self._seen is None or live.version != self._seen[0]
        is_looking = self._looking is not None and self._looking.is_alive()
        if is_looking or (monotonic() < self._next and not is_new):
            return
        self._next = monotonic() + LOOK_SECONDS
        self._looking = Thread(target=self._find, args=(live,), daemon=True)
        self._looking.start()

    def _find(self, live: Description) -> None:
        try:
            seen = (live.version, self._manifests.find())
            if seen != self._seen:
                self._model = self._load(list_challengers(live, seen[1], self._manifests))
                self._seen = seen
        except FolderUnreadable as error:
            log.warning("shadow not found error=%s", error)

    def _load(self, files: list[PublishedFile]) -> Model | None:
        """The first that is fit to answer."""
        for file in files:
            if self._model and self._model.version == file.version:
                return self._model
            with suppress(ModelRefused):  # as the live model's watcher says, where it looks
                model = load(file, self._manifests, self._settings, find_nursery())
                log.info("shadow loaded version=%s", file.version)
                return model
        return None


def list_challengers(
    live: Description, files: Sequence[PublishedFile], manifests: Manifests
) -> list[PublishedFile]:
    """The versions that come next to the live one by their cross-validated log loss, best first.

    They answer the same instances by the same classes, and none is a copy of the live one.
    """
    found = []
    for file in files:
        with suppress(ModelRefused):
            manifest, _ = manifests.read(file)
            if manifest and METRIC in manifest.metrics and _is_comparable(manifest, live):
                found.append((manifest.metrics[METRIC].mean, file))
    return [file for _, file in sorted(found, key=itemgetter(0))]


def _is_comparable(other: Description, live: Description) -> bool:
    return (
        other.sha256 != live.sha256
        and other.name == live.name
        and other.target.classes == live.target.classes
        and [(feature.name, feature.type) for feature in other.features]
        == [(feature.name, feature.type) for feature in live.features]
    )
