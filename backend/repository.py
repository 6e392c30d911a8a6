"""Finds the models published in a directory."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from errors import ModelRefused
from schemas import Manifest

VERSION_FORMAT = "%Y_%m_%d_T%H_%M_%S"
_VERSION = re.compile(r"\d{4}_\d\d_\d\d_T\d\d_\d\d_\d\d")


class PublishedFile(NamedTuple):
    """What a name, a size and a time tell of a pickle without opening it."""

    version: str
    path: Path
    size: int
    modified_ns: int


def find_published(directory: Path) -> list[PublishedFile]:
    """Newest first; order is the order of names, whatever the clock of a file says."""
    files = [_published(path) for path in directory.glob("model_*.pkl")]
    return sorted((file for file in files if file), reverse=True)


def read_manifest(file: PublishedFile) -> Manifest:
    """Raises ModelRefused where there is none or it is not of format 1."""
    path = file.path.with_suffix(".json")
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise ModelRefused(f"{path.name}, its manifest, is missing.") from None
    except ValidationError as invalid:
        fault = invalid.errors()[0]
        place = ".".join(map(str, fault["loc"])) or "it"
        raise ModelRefused(f"{path.name} is no manifest: {place}: {fault['msg']}.") from None
    if manifest.version != file.version:
        raise ModelRefused(f"{path.name} is the manifest of version {manifest.version}.")
    return manifest


def _published(path: Path) -> PublishedFile | None:
    version = path.stem.removeprefix("model_")
    if not _VERSION.fullmatch(version) or not _is_date(version):
        return None
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return PublishedFile(version, path, status.st_size, status.st_mtime_ns)


def _is_date(version: str) -> bool:
    try:
        datetime.strptime(version, VERSION_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True
