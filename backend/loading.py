"""Loads a published model, verified and tried out before it may serve."""

import hashlib
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError
from sklearn import __version__ as sklearn_version

import sandbox
from assembly import assemble, find_other_version, is_other
from engines.engine import NotCompiled
from engines.reading import read_engine
from errors import ModelRefused
from inference import Model
from repository import PublishedFile, read_manifest, read_pickle
from schemas import Description, Manifest, SignatureState
from settings import Settings
from signatures import check_signature, read_public_key
from unpickling import unpickle
from worker.exchange import unpack

COMPILE_SECONDS = 10  # rarely more than one


def load(file: PublishedFile, settings: Settings) -> Model:
    """Raises ModelRefused with a reason for people where the model is not fit to serve."""
    manifest, signature = inspect(file, settings)
    pickled = read_pickle(file, settings.max_model_bytes)
    if manifest:
        _check_content(pickled, manifest)
    remarks = _try_out(pickled, file, manifest, settings.model_load_seconds)
    model = assemble(pickled, file, manifest)
    model.signature = signature
    model.remarks += remarks
    _compile(model, pickled)
    return model


def inspect(file: PublishedFile, settings: Settings) -> tuple[Manifest | None, SignatureState]:
    """What the manifest says, and its signature; raises ModelRefused where either is wrong."""
    raw = read_manifest(file)
    signature = _check_trust(raw, settings)
    return (_check_manifest(file, raw) if raw is not None else None), signature


def _check_manifest(file: PublishedFile, raw: dict[str, Any]) -> Manifest:
    name = file.manifest_path.name
    try:
        manifest = Manifest.model_validate(raw)
    except ValidationError as invalid:
        fault = invalid.errors()[0]
        message = f"Its manifest {name} is wrong at {_name_place(fault['loc'])}: {fault['msg']}."
        raise ModelRefused("manifest", message) from None
    if manifest.version != file.version:
        message = f"Its manifest {name} is that of version {manifest.version}."
        raise ModelRefused("manifest", message)
    return manifest


def _name_place(place: tuple[int | str, ...]) -> str:
    """The keys that lead to it; after a feature's index, pydantic gives its type too."""
    keys = place[:2] + place[3:] if place[:1] == ("features",) else place
    return ".".join(map(str, keys))


def _check_content(pickled: bytes, manifest: Manifest) -> None:
    if len(pickled) != manifest.size:
        message = f"It has {len(pickled)} bytes; its manifest says {manifest.size}."
        raise ModelRefused("size", message)
    if hashlib.sha256(pickled).hexdigest() != manifest.sha256:
        raise ModelRefused("checksum", "Its SHA-256 is not the one in its manifest.")


def _check_trust(raw: dict[str, Any] | None, settings: Settings) -> SignatureState:
    """Say what is known of the signature; raises ModelRefused if it is wrong or required."""
    signed = bool(raw and raw.get("signature"))
    try:
        key = read_public_key(settings.model_public_key)
    except (ValueError, OSError, UnsupportedAlgorithm) as error:
        said = f"The public key {settings.model_public_key} cannot be used: {error}"
        advice = "Put the right one there, and start the backend again"
        raise ModelRefused("signature", f"{said}. {advice}.") from None
    if settings.model_trust == "signed" or (signed and key):
        _require_signature(raw, key)
        return "signed"
    return "unchecked" if signed else "unsigned"


def _require_signature(raw: dict[str, Any] | None, key: Ed25519PublicKey | None) -> None:
    if key is None:
        advice = "The first start of the trainer writes it"
        raise ModelRefused("signature", f"There is no public key to check it with. {advice}.")
    check_signature(raw or {}, key)


def _try_out(
    pickled: bytes, file: PublishedFile, manifest: Manifest | None, seconds: float
) -> list[str]:
    """Load and ask the model where it can do no harm; returns what there is to remark on it."""
    said = manifest.libraries.get("scikit-learn", sklearn_version) if manifest else sklearn_version
    try:
        found = sandbox.call(find_other_version, pickled, file, manifest, seconds=seconds)
    except ModelRefused as refusal:
        raise ModelRefused(refusal.reason, " ".join([str(refusal), *_versions(said)])) from None
    except sandbox.TimedOut:
        message = f"It did not load and answer within {seconds:g} seconds."
        raise ModelRefused("hang", message) from None
    except sandbox.Crashed:
        raise ModelRefused("crash", "It crashed, or ran out of memory, when tried out.") from None
    return _versions(found or said)


def _compile(model: Model, pickled: bytes) -> None:
    """Serve by what the model can be compiled to, or say why there is no such thing."""
    try:
        packed = sandbox.call(compile_pickle, pickled, model.description, seconds=COMPILE_SECONDS)
        engine = read_engine(unpack(packed), model.description)
    except NotCompiled as reason:
        model.serving.detail = str(reason)
    except sandbox.TimedOut:
        model.serving.detail = f"It was not compiled within {COMPILE_SECONDS} seconds."
    except sandbox.Crashed:
        model.serving.detail = "Compiling it crashed, or ran out of memory."
    except Exception as error:  # an estimator can raise anything, and the pickle is fit to serve
        model.serving.detail = f"It could not be compiled: {error!r}."
    else:
        model.serve_by(engine)


def compile_pickle(pickled: bytes, description: Description) -> bytes:
    """For a sandbox, as it takes time and memory."""
    # All kinds of estimators that are compiled: megabytes that no worker needs to keep.
    from worker.compiling.compilation import compile_model  # noqa: PLC0415

    model = Model(unpickle(pickled), description)
    return compile_model(
        model.estimator, description, lambda rows: model.answer(model.to_array(rows))[1]
    )


def _versions(made_with: str) -> list[str]:
    if not is_other(made_with):
        return []
    return [f"It was made with scikit-learn {made_with}; this is {sklearn_version}."]
