"""Turns the bytes of a published model into one that is fit to serve."""

import hashlib
import io
import warnings
from typing import Any

import joblib
import numpy as np

from errors import ModelRefused
from inference import Array, Model
from repository import PublishedFile, read_manifest
from schemas import Manifest

TOLERANCE = 1e-6  # other processors round differently in the last digits


# A model is fitted on named columns and asked with arrays, whose order the manifest gives.
warnings.filterwarnings("ignore", message="X does not have valid feature names")


def load(file: PublishedFile) -> Model:
    """Raises ModelRefused with a reason for people where the model is not fit to serve."""
    manifest = read_manifest(file)
    pickled = file.path.read_bytes()
    _verify(pickled, manifest)
    estimator = _unpickle(pickled)
    _match(estimator, manifest)
    model = Model(estimator, manifest)
    _test(model)
    return model


def _verify(pickled: bytes, manifest: Manifest) -> None:
    if len(pickled) != manifest.size:
        raise ModelRefused(f"It has {len(pickled)} bytes; its manifest says {manifest.size}.")
    if hashlib.sha256(pickled).hexdigest() != manifest.sha256:
        raise ModelRefused("Its SHA-256 is not the one in its manifest.")


def _unpickle(pickled: bytes) -> Any:
    try:
        return joblib.load(io.BytesIO(pickled))
    except Exception as error:  # a pickle can raise anything
        raise ModelRefused(f"It cannot be unpickled: {error!r}.") from error


def _match(estimator: Any, manifest: Manifest) -> None:
    """The manifest must tell the classes and the features in the estimator's own order."""
    if not hasattr(estimator, "predict_proba"):
        raise ModelRefused(f"{type(estimator).__name__} has no predict_proba.")
    classes = [str(label) for label in estimator.classes_]
    if classes != manifest.target.classes:
        raise ModelRefused(f"Its classes are {classes}; its manifest has other ones.")
    names = [feature.name for feature in manifest.features]
    if list(getattr(estimator, "feature_names_in_", names)) != names:
        raise ModelRefused("Its features are not those of its manifest, or in another order.")


def _test(model: Model) -> None:
    """Ask the model its manifest's examples; this warms it too."""
    names = [feature.name for feature in model.manifest.features]
    for example in model.manifest.examples:
        try:
            X = np.array([[example.inputs[name] for name in names]])
            probabilities = model.predict_proba(X)
        except Exception as error:  # an estimator can raise anything
            raise ModelRefused(f"It does not answer an example: {error!r}.") from error
        _compare(probabilities, np.array([example.probabilities]))


def _compare(answered: Array, expected: Array) -> None:
    if answered.shape != expected.shape or not np.allclose(
        answered, expected, rtol=0, atol=TOLERANCE
    ):
        raise ModelRefused("It answers an example of its manifest with other probabilities.")
