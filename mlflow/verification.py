"""Verifies a published model before its pickle is opened."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from errors import CommandFailed
from inputs import Feature
from signing import is_signed_by, read_signing_key

_NAME = re.compile(r"model_(\d{4}_\d\d_\d\d_T\d\d_\d\d_\d\d)\.pkl", re.ASCII)


class NoModel(CommandFailed):
    """There is no published model, or none of that version."""


class ModelRefused(CommandFailed):
    """The model does not verify; the message says why."""


class Trust(NamedTuple):
    """What signatures are checked with; where `is_required`, what is not signed is refused."""

    key: Ed25519PublicKey | None
    is_required: bool


class Verified(NamedTuple):
    """A model whose bytes are those that its manifest describes."""

    version: str
    sha256: str
    pickled: bytes
    features: list[Feature]
    classes: list[str]
    remark: str | None = None

    @property
    def summary(self) -> tuple[str, str, list[Feature], list[str]]:
        """What those know who find the pickle by its path."""
        return self.sha256, self.version, self.features, self.classes


class Selection(NamedTuple):
    """Which model is to be loaded, from where."""

    directory: Path
    version: str
    trust: Trust


def read_trust(wanted: str, public: Path, private: Path) -> Trust:
    """With the private half alone, as the trainer has it, its public one; raises ModelRefused."""
    if wanted not in ("auto", "signed"):
        raise ModelRefused(f"MODEL_TRUST is auto or signed, not {wanted}.")
    try:
        key = _read_key(public, private)
    except (OSError, ValueError) as error:
        raise ModelRefused(f"The key to check signatures with cannot be used: {error}.") from None
    if wanted == "signed" and key is None:
        advice = "`make keys` writes one"
        raise ModelRefused(f"MODEL_TRUST=signed needs a key, and {public} is none: {advice}.")
    return Trust(key, wanted == "signed")


def find_version(directory: Path, version: str | None) -> str:
    """The version itself where it is published, by default the newest; raises NoModel."""
    try:
        names = [_NAME.fullmatch(path.name) for path in directory.iterdir()]
    except OSError as error:
        message = f"The models in {directory} cannot be read: {error.strerror}"
        raise NoModel(f"{message}. Set MODELS_DIR to where they are.") from None
    versions = sorted(found[1] for found in names if found)
    if not versions:
        raise NoModel(f"No model is published in {directory}. Train one: metrics.py.")
    if version and version not in versions:
        known = ", ".join(reversed(versions[-5:]))
        raise NoModel(f"There is no version {version} in {directory}. The newest are {known}.")
    return version or versions[-1]


def load(directory: Path, version: str, trust: Trust) -> Verified:
    """Raises ModelRefused before unpickling where anything is not as its manifest says."""
    path = directory / f"model_{version}.pkl"
    try:
        manifest = json.loads(path.with_suffix(".json").read_bytes())
        pickled = path.read_bytes()
    except FileNotFoundError as error:
        name = Path(error.filename).name
        raise refuse(version, f"There is no {name}, and only verified models score") from None
    except (OSError, ValueError) as error:
        raise refuse(version, f"It cannot be read: {error}") from None
    try:
        verified = _verify(manifest, pickled, version, trust)
        from trial import try_out  # noqa: PLC0415  # its imports take a second

        return verified._replace(remark=try_out(verified, manifest))
    except (KeyError, TypeError, AttributeError) as error:
        raise refuse(version, f"Its manifest is wrong: {error!r}") from None


def _read_key(public: Path, private: Path) -> Ed25519PublicKey | None:
    if not public.is_file():
        key = read_signing_key(private)
        return key.public_key() if key else None
    found = load_pem_public_key(public.read_bytes())
    if not isinstance(found, Ed25519PublicKey):
        raise ValueError(f"{public} holds no Ed25519 public key")
    return found


def _verify(manifest: dict[str, Any], pickled: bytes, version: str, trust: Trust) -> Verified:
    if manifest["format"] != 1:
        raise refuse(version, f"Its manifest has format {manifest['format']}, and this reads 1")
    if manifest["version"] != version:
        raise refuse(version, f"Its manifest is that of version {manifest['version']}")
    if len(pickled) != manifest["size"]:
        said = f"It has {len(pickled)} bytes; its manifest says {manifest['size']}"
        raise refuse(version, said)
    sha256 = hashlib.sha256(pickled).hexdigest()
    if sha256 != manifest["sha256"]:
        raise refuse(version, "Its SHA-256 is not the one in its manifest")
    _check_signature(manifest, trust)
    features = [Feature.from_manifest(it) for it in manifest["features"]]
    return Verified(version, sha256, pickled, features, list(manifest["target"]["classes"]))


def _check_signature(manifest: dict[str, Any], trust: Trust) -> None:
    version = manifest["version"]
    if not manifest["signature"]:
        if trust.is_required:
            raise refuse(version, "It is not signed")
    elif trust.key and not is_signed_by(trust.key, manifest):
        raise refuse(version, "Its signature is not that of its manifest, or of another key")


def refuse(version: str, reason: str) -> ModelRefused:
    """Make the error that says why, and what to do."""
    advice = "Train or republish it, or name another by --version"
    return ModelRefused(f"The model {version} is refused. {reason}. {advice}.")
