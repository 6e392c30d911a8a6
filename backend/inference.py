"""Turns instances into class probabilities."""

from contextlib import suppress
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import ErrorDetails

from errors import Fault, InvalidInstance, MalformedBody
from schemas import Feature, Manifest, Prediction, RangeWarning

Array = npt.NDArray[np.float64]

MAX_FAULTS = 100  # a body of nothing but unknown names is not echoed whole

_REASONS = {
    "missing": "{} is missing.",
    "extra_forbidden": "{} is not a feature of this model.",
    "float_type": "{} must be a number.",
    "finite_number": "{} must be a finite number.",
}


class Model:
    """An estimator with the schema it was published with; never changes."""

    def __init__(self, estimator: Any, manifest: Manifest) -> None:
        self.manifest = manifest
        self.version = manifest.version
        self.classes = manifest.target.classes
        self.instance_type = _instance_type(manifest.features)
        self._estimator = estimator

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
        probabilities = self.predict_proba(np.array([values]))[0].tolist()
        prediction = max(range(len(probabilities)), key=probabilities.__getitem__)
        return Prediction(
            prediction=prediction,
            prediction_class=self.classes[prediction],
            probabilities=dict(zip(self.classes, probabilities, strict=True)),
            model_version=self.version,
            prediction_id=str(uuid4()),
            warnings=self._warn_of(values),
        )

    def predict_proba(self, X: Array) -> Array:
        """Class probabilities, shape (n, k), for X of shape (n, f) in the order of the features.

        Raises InvalidInstance where finite values overflow inside the model.
        """
        with np.errstate(all="ignore"), suppress(ValueError):  # scikit-learn's for infinities
            probabilities: Array = self._estimator.predict_proba(X)
            if np.isfinite(probabilities).all():
                return probabilities
        raise InvalidInstance([Fault("#", "The model has no answer to values this large.")])

    def _warn_of(self, values: list[float]) -> list[RangeWarning]:
        """One warning for each value the training table's range does not hold."""
        return [
            RangeWarning(feature=feature.name, detail=_outside(feature, value))
            for feature, value in zip(self.manifest.features, values, strict=True)
            if not feature.min <= value <= feature.max
        ]

    def _rejection(self, errors: list[ErrorDetails]) -> MalformedBody | InvalidInstance:
        if errors[0]["type"] == "json_invalid":
            return MalformedBody(f"{errors[0]['msg']}. Send one JSON object in UTF-8.")
        if errors[0]["type"] == "model_type":
            names = ", ".join(feature.name for feature in self.manifest.features)
            return InvalidInstance([Fault("#", f"Send one JSON object with {names}.")])
        return InvalidInstance([_fault(error) for error in errors[:MAX_FAULTS]])


def _instance_type(features: list[Feature]) -> type[BaseModel]:
    """A pydantic model with one strict number for each feature."""
    fields: dict[str, Any] = {
        f"feature_{index}": (float, _field(feature)) for index, feature in enumerate(features)
    }
    return create_model("Instance", __config__=ConfigDict(extra="forbid"), **fields)


def _field(feature: Feature) -> Any:
    # No `minimum` and `maximum`: a value outside is answered, with a warning.
    unit = f" {feature.unit}" if feature.unit else ""
    return Field(
        alias=feature.name,
        title=feature.name,
        description=f"Training range {feature.min:g} to {feature.max:g}{unit}",
        strict=True,
        allow_inf_nan=False,
    )


def _outside(feature: Feature, value: float) -> str:
    unit = f" {feature.unit}" if feature.unit else ""
    return (
        f"{feature.name} {value:g}{unit} is outside the training range "
        f"{feature.min:g} to {feature.max:g}{unit}."
    )


def _fault(error: ErrorDetails) -> Fault:
    name = str(error["loc"][0])
    # RFC 6901: ~ and / are escaped in a pointer.
    pointer = "#/" + name.replace("~", "~0").replace("/", "~1")
    return Fault(pointer, _REASONS[error["type"]].format(name))
