"""Loads a published model, verified and tried out before it may serve."""

import hashlib

from sklearn import __version__ as sklearn_version

import sandbox
from assembly import assemble, find_other_version, is_other
from engines.engine import NotCompiled
from engines.reading import read_engine
from errors import ModelRefused
from inference import Model
from manifests import Manifests
from repository import PublishedFile, read_pickle
from schemas import Description, Manifest
from settings import Settings
from unpickling import unpickle
from worker.exchange import unpack

COMPILE_SECONDS = 10  # rarely more than one


def load(file: PublishedFile, manifests: Manifests, settings: Settings) -> Model:
    """Raises ModelRefused with a reason for people where the model is not fit to serve."""
    manifest, signature = manifests.read(file)
    pickled = read_pickle(file, settings.max_model_bytes)
    if manifest:
        _check_content(pickled, manifest)
    remarks = _try_out(pickled, file, manifest, settings.model_load_seconds)
    model = assemble(pickled, file, manifest)
    model.signature = signature
    model.remarks += remarks
    _compile(model, pickled)
    return model


def _check_content(pickled: bytes, manifest: Manifest) -> None:
    if len(pickled) != manifest.size:
        message = f"It has {len(pickled)} bytes; its manifest says {manifest.size}."
        raise ModelRefused("size", message)
    if hashlib.sha256(pickled).hexdigest() != manifest.sha256:
        raise ModelRefused("checksum", "Its SHA-256 is not the one in its manifest.")


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
