"""Reads each manifest once: its signature before its content."""

from threading import Lock
from typing import Any

from pydantic import ValidationError

from errors import ModelRefused, shorten
from schemas import Manifest, SignatureState
from serving.repository import PublishedFile, find_published, read_manifest, require_name
from serving.signatures import check_trust
from settings import Settings

KEPT_BYTES = 1024**2  # of manifests as they are in the folder; in memory a few times as much
ENTRY_BYTES = 1024  # of one that is missing or refused
MANY_FAULTS = 100  # to name each of half a million would take seconds and gigabytes

Inspected = tuple[Manifest | None, SignatureState]


class Manifests:
    """The folder's manifests; the ones read last are kept until their files change."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kept: dict[PublishedFile, Inspected | ModelRefused] = {}
        self._room = KEPT_BYTES
        self._lock = Lock()

    def find(self) -> list[PublishedFile]:
        """Newest first; each is another one if the public key changes. Raises FolderUnreadable."""
        return find_published(self._settings.models_dir, self._settings.model_public_key)

    def read(self, file: PublishedFile) -> Inspected:
        """None if there is no manifest; raises ModelRefused if it or its signature is wrong."""
        with self._lock:  # asked for twice at once, it is read once
            if file not in self._kept:
                self._keep(file)
            found = self._kept[file]
        if isinstance(found, ModelRefused):
            raise ModelRefused(found.reason, found.message)
        return found

    def _keep(self, file: PublishedFile) -> None:
        try:
            self._kept[file] = _inspect(file, self._settings)
        except ModelRefused as refusal:
            self._kept[file] = refusal.with_traceback(None)
        self._room -= _weigh(file)
        while self._room < 0 and len(self._kept) > 1:
            oldest = next(iter(self._kept))
            del self._kept[oldest]
            self._room += _weigh(oldest)


def _weigh(file: PublishedFile) -> int:
    return ENTRY_BYTES + file.manifest_bytes


def _inspect(file: PublishedFile, settings: Settings) -> Inspected:
    """Parse, check the signature, and only then look at what it says; raises ModelRefused."""
    require_name(file)
    raw = read_manifest(file)
    signature = check_trust(raw or {}, settings)
    return (None if raw is None else _validate(file, raw)), signature


def _validate(file: PublishedFile, raw: dict[str, Any]) -> Manifest:
    name = file.manifest_path.name
    try:
        manifest = Manifest.model_validate(raw)
    except ValidationError as invalid:
        raise ModelRefused("manifest", f"Its manifest {name} {_say(invalid)}.") from None
    if manifest.version != file.version:
        message = f"Its manifest {name} is that of version {shorten(manifest.version)}."
        raise ModelRefused("manifest", message)
    return manifest


def _say(invalid: ValidationError) -> str:
    if (count := invalid.error_count()) > MANY_FAULTS:
        return f"is wrong in {count:,} places"
    fault = invalid.errors()[0]
    return f"is wrong at {shorten(_name_place(fault['loc']))}: {fault['msg']}"


def _name_place(place: tuple[int | str, ...]) -> str:
    """The keys that lead to it; after a feature's index, pydantic gives its type too."""
    keys = place[:2] + place[3:] if place[:1] == ("features",) else place
    return ".".join(map(str, keys))
