"""Tells of every published version what there is to know without loading it."""

from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from errors import FolderUnreadable, ModelRefused, ModelServerError, UnknownVersion, shorten
from schemas import Description, PublishedModel
from serving.live import LiveModel
from serving.manifests import Manifests
from serving.repository import PublishedFile


class Line(NamedTuple):
    """A version in the list; `entry` is a schemas.Published as JSON, ready to be sent."""

    name: str  # the model's, or its file's where that is all that is known
    version: str
    reason: str | None  # why it is refused
    entry: bytes


class Catalogue:
    """The models folder as the live model's watcher has found it."""

    def __init__(self, live: LiveModel, manifests: Manifests) -> None:
        self._live = live
        self._manifests = manifests
        self._lines: dict[tuple[PublishedFile, ModelRefused | None], Line] = {}
        self._listing = Lock()

    def list_all(self) -> list[Line]:
        """Newest first, the live one included when only memory still has it.

        Raises FolderUnreadable while there is no live one either.
        """
        try:
            files = self._manifests.find()
        except FolderUnreadable:
            if self._live.live_version is None:
                raise
            return [_write(self.show_live())]
        with self._listing:  # the first takes a while, and who asks meanwhile shares it
            lines = self._write_all(files)
        return [*lines, _write(self.show_live())] if self._live.gone else lines

    def read_ahead(self) -> None:
        """Read what is there, so that the first who asks for the list need not wait."""
        with suppress(ModelServerError):
            self.list_all()

    def show(self, version: str) -> PublishedModel:
        """Raises UnknownVersion, or FolderUnreadable, unless it is live or in the folder."""
        is_live = version == self._live.live_version
        try:
            files = self._manifests.find()
        except FolderUnreadable:
            if not is_live:
                raise
            files = []
        for file in files:
            if file.version == version:
                return self._show(file)
        if is_live:  # in memory only
            return self.show_live()
        raise UnknownVersion(f"There is no version {shorten(version)}. GET /models lists them.")

    def show_live(self) -> PublishedModel:
        """Raises NoModelPublished while there is none."""
        model = self._live.model()
        file, trouble = self._live.file, self._live.trouble
        return PublishedModel(
            version=model.version,
            file=file.path.name if file else "",
            state="live",
            signature=model.signature,
            remarks=[*model.remarks, trouble] if trouble else model.remarks,
            engine=model.serving,
            confined=model.worker.held,
            **_summarise(model.description),
        )

    def _write_all(self, files: list[PublishedFile]) -> list[Line]:
        """Each is written once; what is known of files that are gone is forgotten."""
        known, self._lines = self._lines, {}
        lines = []
        for file in files:
            key = (file, self._live.refusal_of(file))
            line = None if file == self._live.file else known.get(key)
            self._lines[key] = line or _write(self._show(file))
            lines.append(self._lines[key])
        return lines

    def _show(self, file: PublishedFile) -> PublishedModel:
        if file == self._live.file:
            return self.show_live()
        name, version = file.path.name, file.version
        try:
            manifest, signature = self._manifests.read(file)
            if refusal := self._live.refusal_of(file):
                raise refusal.with_traceback(None)  # which would grow each time it is raised
        except ModelRefused as refusal:
            reason = str(refusal)
            return PublishedModel(version=version, file=name, state="refused", reason=reason)
        known: dict[str, Any] = {"version": version, "file": name, "signature": signature}
        known |= _summarise(manifest) if manifest else {}
        return PublishedModel(state="available", **known)


def _write(entry: PublishedModel) -> Line:
    # A model without a manifest is named as its file.
    name = entry.manifest.name if entry.manifest else Path(entry.file).stem
    sent = entry.model_dump_json(exclude={"manifest"}).encode()
    return Line(name, entry.version, entry.reason, sent)


def _summarise(description: Description) -> dict[str, Any]:
    summary = ("created_at", "estimator", "metrics", "dataset", "republished_from")
    return {"manifest": description, **{name: getattr(description, name) for name in summary}}
