"""Turns instances into class probabilities."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import ErrorDetails

from errors import Fault, InvalidInstance, MalformedBody, shorten
from schemas import Description, Feature, Prediction, RangeWarning, SignatureState

Array = npt.NDArray[np.float64]

MAX_FAULTS = 100  # a body of nothing but unknown names is not echoed whole

# One instance is small, and naming all that is wrong with a large one would take seconds.
MAX_INSTANCE_BYTES = 65_536
MAX_FEATURE_BYTES = 1024

_REASONS = {
    "missing": "{} is missing.",
    "extra_forbidden": "{} is not a feature of this model.",
    "float_type": "{} must be a number.",
    "finite_number": "{} must be a finite number.",
}


class Model:
    """An estimator with what is known of it; never changes once it serves."""

    def __init__(self, estimator: Any, description: Description) -> None:
        self.description = description
        self.version = description.version
        self.classes = description.target.classes
        self.names = [feature.name for feature in description.features]
        self.max_body_bytes = MAX_INSTANCE_BYTES + MAX_FEATURE_BYTES * len(self.names)
        self.instance_type = _instance_type(description.features)
        self.signature: SignatureState = "none"
        self.remarks: list[str] = []
        self._estimator = estimator
        self._labels = list(estimator.classes_)
        if not hasattr(estimator, "predict_proba"):
            self.remarks.append("It has no predict_proba: probabilities are null.")

    def read_instance(self, body: bytes) -> list[float]:
        """Values in the order of the features; raises MalformedBody or InvalidInstance."""
        try:
            instance = self.instance_type.__pydantic_validator__.validate_json(body)
        except ValidationError as invalid:
            errors = invalid.errors(include_url=False, include_context=False, include_input=False)
            raise self._rejection(errors) from None
        return list(instance.__dict__.values())

    def predict(self, values: list[float]) -> Prediction:
        """The answer to one instance, its values in the order of the features."""
        [prediction], matrix = self.answer(np.array([values]))
        probabilities = None
        if matrix is not None:
            probabilities = dict(zip(self.classes, matrix[0].tolist(), strict=True))
        return Prediction(
            prediction=prediction,
            prediction_class=self.classes[prediction],
            probabilities=probabilities,
            model_version=self.version,
            prediction_id=str(uuid4()),
            warnings=self._warn_of(values),
        )

    def answer(self, X: Array) -> tuple[list[int], Array | None]:
        """Class indices, shape (n,), and probabilities, shape (n, k), for X of shape (n, f).

        Probabilities are None where the estimator has none. Raises InvalidInstance where finite
        values overflow inside the model.
        """
        with np.errstate(all="ignore"), suppress(ValueError):  # scikit-learn's for infinities
            if not hasattr(self._estimator, "predict_proba"):
                return [self._labels.index(label) for label in self._estimator.predict(X)], None
            probabilities: Array = self._estimator.predict_proba(X)
            if np.isfinite(probabilities).all():
                return probabilities.argmax(axis=1).tolist(), probabilities
        raise InvalidInstance([Fault("#", "The model has no answer to values this large.")])

    def _warn_of(self, values: list[float]) -> list[RangeWarning]:
        """One warning for each value the training table's range does not hold."""
        return [
            RangeWarning(feature=feature.name, detail=f"{feature.name} {value:.15g} is {outside}.")
            for feature, value in zip(self.description.features, values, strict=True)
            if (outside := _outside(feature, value))
        ]

    def _rejection(self, errors: list[ErrorDetails]) -> MalformedBody | InvalidInstance:
        if errors[0]["type"] == "json_invalid":
            return MalformedBody(f"{errors[0]['msg']}. Send one JSON object in UTF-8.")
        if errors[0]["type"] == "model_type":
            message = f"Send one JSON object with {', '.join(self.names)}."
            return InvalidInstance([Fault("#", message)])
        faults = [_fault(error) for error in errors[:MAX_FAULTS]]
        return InvalidInstance(faults, more=len(errors) - len(faults))


def _instance_type(features: Sequence[Feature]) -> type[BaseModel]:
    """A pydantic model with one strict number for each feature."""
    fields: dict[str, Any] = {
        f"feature_{index}": (float, _field(feature)) for index, feature in enumerate(features)
    }
    return create_model("Instance", __config__=ConfigDict(extra="forbid"), **fields)


def _field(feature: Feature) -> Any:
    # No `minimum` and `maximum`: a value outside is answered, with a warning.
    return Field(
        alias=feature.name,
        title=feature.name,
        description=f"Training range {_range(feature)}",
        strict=True,
        allow_inf_nan=False,
    )


def _range(feature: Feature) -> str:
    if feature.min is None or feature.max is None:
        return "unknown"
    return f"{feature.min:.15g} to {feature.max:.15g} {feature.unit or ''}".rstrip()


def _outside(feature: Feature, value: float) -> str | None:
    if feature.min is None or feature.max is None or feature.min <= value <= feature.max:
        return None
    return f"outside the training range {_range(feature)}"


def _fault(error: ErrorDetails) -> Fault:
    name = shorten(str(error["loc"][0]))
    # RFC 6901: ~ and / are escaped in a pointer, and all but ASCII in a fragment.
    pointer = "#/" + quote(name.replace("~", "~0").replace("/", "~1"), safe="/~", errors="replace")
    return Fault(pointer, _REASONS[error["type"]].format(name or '""'))
