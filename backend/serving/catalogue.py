"""Tells of every published version what there is to know without loading it."""

from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from errors import FolderUnreadable, ModelRefused, ModelServerError, UnknownVersion, shorten
from schemas import Description, Manifest, PublishedModel
from serving.digests import Digests, require_digest, require_size
from serving.live import LiveModel
from serving.manifests import Manifests
from serving.repository import PublishedFile

HASHING = "Its SHA-256 is still being computed."
NOT_OPENED = "It has no manifest: whether it can be served shows when it is first asked for."


class Line(NamedTuple):
    """A version in the list; `entry` is a schemas.Published as JSON, ready to be sent."""

    name: str  # the model's, or its file's where that is all that is known
    version: str
    reason: str | None  # why it is refused
    entry: bytes
    is_final: bool  # but for the live one's


class Catalogue:
    """The models folder as the live model's watcher has found it."""

    def __init__(self, live: LiveModel, manifests: Manifests, max_model_bytes: int) -> None:
        self._live = live
        self._manifests = manifests
        self._digests = Digests(max_model_bytes)
        self._lines: dict[tuple[Any, ...], Line] = {}
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
        lines = self._write_all(files)
        if not all(line.is_final for line in lines):
            self._digests.wait()
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
                if HASHING in self._show(file).remarks:
                    self._digests.wait()
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
        with self._listing:  # the first takes a while, and who asks meanwhile shares it
            self._digests.keep(files)
            known, self._lines = self._lines, {}
            return [self._write_one(file, known) for file in files]

    def _write_one(self, file: PublishedFile, known: dict[tuple[Any, ...], Line]) -> Line:
        key = (file, self._live.refusal_of(file), file in self._live.opened)
        line = None if file == self._live.file else known.get(key)
        if line is None:
            line = _write(self._show(file))
        if line.is_final:
            self._lines[key] = line
        return line

    def _show(self, file: PublishedFile) -> PublishedModel:
        if file == self._live.file:
            return self.show_live()
        name, version = file.path.name, file.version
        try:
            manifest, signature = self._manifests.read(file)
            if refusal := self._live.refusal_of(file):
                raise refusal.with_traceback(None)  # which would grow each time it is raised
            lack = self._find_lack(file, manifest)
        except ModelRefused as refusal:
            reason = str(refusal)
            return PublishedModel(version=version, file=name, state="refused", reason=reason)
        known: dict[str, Any] = {"version": version, "file": name, "signature": signature}
        known |= _summarise(manifest) if manifest else {}
        if lack:
            return PublishedModel(state="unverified", remarks=[lack], **known)
        return PublishedModel(state="available", **known)

    def _find_lack(self, file: PublishedFile, manifest: Manifest | None) -> str | None:
        """What has not been verified yet; raises ModelRefused for what is wrong."""
        if file in self._live.opened:
            return None
        if manifest is None:
            return NOT_OPENED
        require_size(file.pickle_identity[0], manifest)
        digest = self._digests.find(file)
        if digest is None:
            return HASHING
        require_digest(digest, manifest)
        return None


def _write(entry: PublishedModel) -> Line:
    # A model without a manifest is named as its file.
    name = entry.manifest.name if entry.manifest else Path(entry.file).stem
    sent = entry.model_dump_json(exclude={"manifest"}).encode()
    return Line(name, entry.version, entry.reason, sent, HASHING not in entry.remarks)


def _summarise(description: Description) -> dict[str, Any]:
    summary = ("created_at", "estimator", "metrics", "dataset", "republished_from")
    return {"manifest": description, **{name: getattr(description, name) for name in summary}}
