"""Tells of every published version what there is to know without loading it."""

from pathlib import Path

from errors import ModelRefused, UnknownVersion, shorten
from inference import Model
from live import LiveModel
from loading import inspect
from repository import PublishedFile, find_published
from schemas import Description, Published, PublishedModel
from settings import Settings


class Catalogue:
    """The models folder as the live model's watcher has found it."""

    def __init__(self, live: LiveModel, settings: Settings) -> None:
        self._live = live
        self._settings = settings

    def list_all(self) -> list[Published]:
        """Newest first, the live one included when only memory still has it."""
        return [Published.model_validate(entry.model_dump()) for entry in self.list_in_full()]

    def list_in_full(self) -> list[PublishedModel]:
        """As list_all, with all that is known of each."""
        entries = [self._tell(file) for file in find_published(self._settings.models_dir)]
        if self._live.gone:
            entries.append(self.show_live())
        return entries

    def show(self, version: str) -> PublishedModel:
        """Raises UnknownVersion where neither the folder nor memory has one of that name."""
        for file in find_published(self._settings.models_dir):
            if file.version == version:
                return self._tell(file)
        if version == self._live.live_version:  # in memory only
            return self.show_live()
        raise UnknownVersion(f"There is no version {shorten(version)}. GET /models lists them.")

    def show_live(self) -> PublishedModel:
        """Raises NoModelPublished while there is none."""
        model = self._live.model()
        file = self._live.file
        return _show_loaded(model, file.path if file else Path())

    def _tell(self, file: PublishedFile) -> PublishedModel:
        if file == self._live.file:
            return self.show_live()
        try:
            manifest, signature = inspect(file, self._settings)
            if refusal := self._live.refusal_of(file):
                raise refusal.with_traceback(None)  # which would grow each time it is raised
        except ModelRefused as refusal:
            return PublishedModel(
                version=file.version, file=file.path.name, state="refused", reason=str(refusal)
            )
        entry = PublishedModel(
            version=file.version, file=file.path.name, state="available", signature=signature
        )
        return entry.model_copy(update=_summarise(manifest) if manifest else {})


def _show_loaded(model: Model, path: Path) -> PublishedModel:
    entry = PublishedModel(
        version=model.version,
        file=path.name,
        state="live",
        signature=model.signature,
        remarks=model.remarks,
        engine=model.serving,
    )
    return entry.model_copy(update=_summarise(model.description))


def _summarise(description: Description) -> dict[str, object]:
    summary = ("created_at", "estimator", "metrics", "dataset", "republished_from")
    return {"manifest": description, **{name: getattr(description, name) for name in summary}}
