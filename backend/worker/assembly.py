"""Makes a model of a pickle: what it is, what it asks for, and whether it answers."""

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sklearn
from sklearn.base import is_classifier
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.pipeline import Pipeline

from errors import ModelRefused, shorten
from features.instances import InstanceReader
from schemas import Description, Example, Number, Target, Value
from worker.exchange import Array
from worker.frames import find_text, take_arrays
from worker.opened_model import OpenedModel
from worker.unpickling import unpickle

TOLERANCE = 1e-6  # other processors round differently in the last digits

UNCHECKED = (
    "No example in a manifest shows that it still answers alike. Train it again with this version, "
    "or set MODEL_TRUST=any to serve it unchecked."
)

IRIS_FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
IRIS_CLASSES = ["setosa", "versicolor", "virginica"]

# A model is fitted on named columns and asked with arrays, whose order the manifest gives.
warnings.filterwarnings("ignore", message="X does not have valid feature names")


def assemble(
    pickled: bytes, head: Mapping[str, Any], known: Description | None
) -> tuple[OpenedModel, list[str]]:
    """An estimator that has answered its examples, now or before, and remarks on it.

    `head` is that of the message that opens it. Raises ModelRefused with a reason for people if it
    is not fit to serve.
    """
    said: list[str] = []
    if known and "scikit-learn" in known.libraries:
        said = [known.libraries["scikit-learn"]]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InconsistentVersionWarning)
        try:
            model = _open(pickled, head["file"], known)
            if not head["is_tried"]:
                _try_out(model)
        except ModelRefused as refusal:
            raise ModelRefused(refusal.reason, " ".join([str(refusal), *_remark(said)])) from None
    found = [warning.message for warning in caught]
    others = [each for each in found if isinstance(each, InconsistentVersionWarning)]
    remarks = _remark([*(str(other.original_sklearn_version) for other in others), *said])
    if remarks and not (head["takes_unchecked"] or _is_checked(model)):
        raise ModelRefused("libraries", f"{remarks[0]} {UNCHECKED}")
    return model, remarks


def _open(pickled: bytes, file: Mapping[str, Any], known: Description | None) -> OpenedModel:
    """Open a pickle; `file` has its `name`, `version` and `created_at`."""
    estimator = unpickle(pickled)
    _require_classifier(estimator)
    if known:
        _require_match(estimator, known)
    else:
        _require_numbers(estimator)
    take_arrays(estimator)
    return OpenedModel(estimator, known or _describe_estimator(estimator, file, pickled))


def _remark(versions: Sequence[str]) -> list[str]:
    """Name the first scikit-learn of these that may answer otherwise than ours."""
    ours = sklearn.__version__
    others = [version for version in versions if version.split(".")[:2] != ours.split(".")[:2]]
    return [f"It was made with scikit-learn {other}; this is {ours}." for other in others[:1]]


def _require_classifier(estimator: Any) -> None:
    kind = type(estimator).__name__
    try:
        fitted = is_classifier(estimator) and len(estimator.classes_) > 1
        inputs = int(estimator.n_features_in_)
    except MemoryError as error:
        raise ModelRefused("crash", f"There is not enough memory for it: {error!r}.") from None
    except Exception as error:  # an estimator can raise anything
        message = f"It is a {kind}, not a fitted classifier of scikit-learn: {error}."
        raise ModelRefused("estimator", message) from None
    if not fitted or inputs < 1 or np.ndim(estimator.classes_) != 1:
        raise ModelRefused("estimator", f"It is a {kind}, not a classifier with one target.")


def _require_numbers(estimator: Any) -> None:
    """Without a manifest, nothing tells which columns hold which text."""
    if (text := find_text(estimator)) is not None:
        message = f'It was fitted on text such as "{shorten(text)}", and has no manifest.'
        raise ModelRefused("estimator", f"{message} Train the table with metrics.py --data.")


def _describe_estimator(estimator: Any, file: Mapping[str, Any], pickled: bytes) -> Description:
    """What the estimator itself tells, for a pickle without a manifest."""
    count = int(estimator.n_features_in_)
    invented = IRIS_FEATURES if count == len(IRIS_FEATURES) else [f"x{i}" for i in range(count)]
    names = [str(name) for name in getattr(estimator, "feature_names_in_", invented)]
    classes = [str(label) for label in estimator.classes_]
    if classes == ["0", "1", "2"] and count == len(IRIS_FEATURES):
        classes = IRIS_CLASSES
    last_step = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    return Description(
        **file,
        sha256=hashlib.sha256(pickled).hexdigest(),
        size=len(pickled),
        features=tuple(Number(name=name) for name in names),
        target=Target(name="class", classes=classes),
        estimator=type(last_step).__name__,
    )


def _require_match(estimator: Any, description: Description) -> None:
    """The manifest must tell the classes and the features in the estimator's own order."""
    classes = [str(label) for label in estimator.classes_]
    if classes != description.target.classes:
        raise ModelRefused("manifest", f"Its classes are {classes}; its manifest has other ones.")
    names = [feature.name for feature in description.features]
    if len(names) != estimator.n_features_in_:
        message = f"It has {estimator.n_features_in_} features; its manifest has {len(names)}."
        raise ModelRefused("manifest", message)
    if list(getattr(estimator, "feature_names_in_", names)) != names:
        message = "Its features are not those of its manifest, or in another order."
        raise ModelRefused("manifest", message)


def invent(description: Description) -> Example:
    """An instance to ask if no manifest gives one; any answer will do."""
    inputs: dict[str, Value] = {
        feature.name: 1.0 if isinstance(feature, Number) else feature.mode
        for feature in description.features
    }
    return Example(inputs=inputs, probabilities=[])


def _try_out(model: OpenedModel) -> None:
    """Ask the model its examples; this warms it too."""
    description = model.description
    reader = InstanceReader(description.features)
    for example in description.examples or [invent(description)]:
        try:
            values = reader.read(json.dumps(example.inputs).encode())
            [index], probabilities = model.ask(model.to_array([values]))
        except MemoryError:
            raise
        except Exception as error:  # an estimator can raise anything
            raise ModelRefused("self_test", f"It does not answer an example: {error!r}.") from None
        if index < 0:
            message = "It does not answer an example with finite probabilities."
            raise ModelRefused("self_test", message)
        if example.probabilities and not _agree(probabilities, [example.probabilities]):
            message = "It answers an example of its manifest with other probabilities."
            raise ModelRefused("self_test", message)


def _is_checked(model: OpenedModel) -> bool:
    """Whether its answers have been compared with those of the time it was made."""
    return any(example.probabilities for example in model.description.examples)


def _agree(answered: Array | None, expected: list[list[float]]) -> bool:
    if answered is None or answered.shape != np.shape(expected):
        return False
    return bool(np.allclose(answered, expected, rtol=0, atol=TOLERANCE))
