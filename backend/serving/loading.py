"""Loads a published model, verified and tried out before it may serve."""

import hashlib
from functools import partial
from typing import Any

import numpy as np
from pydantic import ValidationError

from engines.decoding import read_engine
from engines.engine import NotCompiled
from errors import ModelRefused, ModelWorkerEnded
from schemas import Description, Manifest
from serving.digests import require_digest, require_size
from serving.inference import Model
from serving.manifests import Manifests
from serving.repository import Pickle, PublishedFile
from settings import Settings
from worker.exchange import Message
from worker.failures import LONGEST_TEXT
from worker.model_worker import ModelWorker
from worker.nursery import Nursery

MOST_REMARKS = 10


def load(file: PublishedFile, manifests: Manifests, settings: Settings, nursery: Nursery) -> Model:
    """Raises ModelRefused with a reason for people if the model is not fit to serve."""
    model = open_model(file, manifests, settings, nursery)
    _compile(model)
    return model


def open_model(
    file: PublishedFile, manifests: Manifests, settings: Settings, nursery: Nursery
) -> Model:
    """As `load`, of one that is asked in processes alone."""
    manifest, signature = manifests.read(file)
    pickle = Pickle(file, settings.max_model_bytes)
    trust = settings.model_trust
    read = partial(_make_opening, file, pickle, manifest, takes_unchecked=trust == "any")
    worker = ModelWorker(nursery, read, settings)
    worker.needs_walls = signature != "signed" and trust not in ("auto", "any")
    told = worker.open()
    description = manifest or _read_description(told["description"], file)
    worker.classes = len(description.target.classes)
    model = Model(description, worker)
    model.max_body_bytes = min(model.max_body_bytes, settings.max_body_bytes)
    model.signature = signature
    model.remarks += [str(remark)[:LONGEST_TEXT] for remark in told["remarks"][:MOST_REMARKS]]
    return model


def _make_opening(
    file: PublishedFile, pickle: Pickle, manifest: Manifest | None, *, takes_unchecked: bool
) -> Message:
    """The message that opens the model; raises ModelRefused."""
    pickled = pickle.read()
    if manifest:
        require_size(len(pickled), manifest)
        require_digest(hashlib.sha256(pickled).hexdigest(), manifest)
    head = {
        "file": {"name": file.path.stem, "version": file.version, "created_at": file.created_at},
        "manifest": manifest and manifest.model_dump(mode="json"),
        "takes_unchecked": takes_unchecked,
    }
    return Message(head, {"pickle": np.frombuffer(pickled, np.uint8)})


def _read_description(told: Any, file: PublishedFile) -> Description:
    try:
        description = Description.model_validate(told)
    except ValidationError:
        message = "Its process tells nothing of it that makes sense."
        raise ModelRefused("estimator", message) from None
    return description.model_copy(update={"version": file.version, "name": file.path.stem})


def _compile(model: Model) -> None:
    """Serve by what the model can be compiled to, or say why there is no such thing."""
    try:
        message = model.worker.compile()
        if "not_compiled" in message.head:
            raise NotCompiled(str(message.head["not_compiled"]))
        model.serve_by(read_engine(*message, model.description))
    except NotCompiled as reason:
        model.serving.detail = str(reason)
    except ModelWorkerEnded as ended:
        model.serving.detail = f"It was not compiled: {ended}"
