"""Reads one instance of a model's features."""

import json
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    ValidationError,
    create_model,
)
from pydantic_core import ErrorDetails

from errors import Fault, InvalidInstance, list_errors, shorten
from schemas import Category, Feature, Number, Value

MAX_FAULTS = 100  # a body of nothing but unknown names is not echoed whole
TABLES = (["instances"], ["columns"])  # the keys of a body for many instances
SHOWN_VALUES = 2  # of a category, to whom sends something else

# One instance is small, and naming all that is wrong with a large one would take seconds.
MAX_INSTANCE_BYTES = 65_536
MAX_FEATURE_BYTES = 1024  # beyond a category's longest value

_TYPES: dict[str, Any] = {
    "number": Annotated[float, Field(strict=True, allow_inf_nan=False)],
    "boolean": StrictBool,
    "category": StrictStr,
}

_REASONS = {
    "missing": "{} is missing.",
    "extra_forbidden": "{} is not a feature of this model.",
    "float_type": "{} must be a number.",
    "finite_number": "{} must be a finite number.",
    "bool_type": "{} must be true or false.",
    "string_type": "{} must be text, such as {}.",
}


class InstanceReader:
    """Takes instances with a pydantic model that has a strict field for each feature."""

    def __init__(self, features: Sequence[Feature]) -> None:
        fields = {f"feature_{index}": _field(feature) for index, feature in enumerate(features)}
        config = ConfigDict(extra="forbid")
        self.type: type[BaseModel] = create_model("Instance", __config__=config, **fields)
        self.max_bytes = MAX_INSTANCE_BYTES + sum(map(_max_bytes, features))
        self._features = {feature.name: feature for feature in features}

    def read(self, body: bytes) -> list[Value]:
        """Values in the order of the features; raises MalformedBody or InvalidInstance."""
        try:
            instance = self.type.__pydantic_validator__.validate_json(body)
        except ValidationError as invalid:
            raise self._rejection(invalid) from None
        return list(instance.__dict__.values())

    def _rejection(self, invalid: ValidationError) -> InvalidInstance:
        """Raises MalformedBody if it is not JSON."""
        errors = list_errors(invalid, "Send one JSON object in UTF-8.")
        if errors[0]["type"] == "model_type" or self._is_table(errors):
            message = f"Send one JSON object with {', '.join(self._features)}."
            return InvalidInstance([Fault("#", f"{message} Send many to POST /predict/batch.")])
        faults = [self._fault(error) for error in errors[:MAX_FAULTS]]
        return InvalidInstance(faults, more=len(errors) - len(faults))

    def _is_table(self, errors: list[ErrorDetails]) -> bool:
        """Whether the body is one for many instances: a single key, and none of the features."""
        unknown = [error["loc"][0] for error in errors if error["type"] == "extra_forbidden"]
        has_none = len(errors) == 1 + sum(not it.nullable for it in self._features.values())
        return has_none and unknown in TABLES

    def _fault(self, error: ErrorDetails) -> Fault:
        name = str(error["loc"][0])
        return Fault(point_to(name), explain_json(error["type"], name, self._features.get(name)))


def describe_range(feature: Number) -> str:
    if feature.min is None or feature.max is None:
        return "unknown"
    return f"{feature.min:.15g} to {feature.max:.15g} {feature.unit or ''}".rstrip()


def point_to(name: str) -> str:
    """RFC 6901: ~ and / are escaped in a pointer, and all but ASCII in a fragment."""
    escaped = shorten(name).replace("~", "~0").replace("/", "~1")
    return "#/" + quote(escaped, safe="/~", errors="replace")


def _field(feature: Feature) -> Any:
    """Type and settings of a pydantic field; a missing value is None."""
    # No `minimum`, `maximum` or `enum`: any other value is answered, with a warning.
    settings: dict[str, Any] = {"alias": feature.name, "title": feature.name}
    if isinstance(feature, Number):
        settings["description"] = f"Training range {describe_range(feature)}"
    if isinstance(feature, Category):
        settings["description"] = "The examples are the values the model knows"
        settings["examples"] = feature.values
    default = None if feature.nullable else ...
    return type_of(feature), Field(default, **settings)


def _max_bytes(feature: Feature) -> int:
    values = feature.values if isinstance(feature, Category) else [""]
    return MAX_FEATURE_BYTES + max(len(json.dumps(value)) for value in values)


def _show_values(feature: Feature | None) -> str:
    if not isinstance(feature, Category):
        return ""
    return " or ".join(f'"{shorten(value)}"' for value in feature.values[:SHOWN_VALUES])


def explain(kind: str, name: str, feature: Feature | None = None) -> str:
    """The sentence for one of pydantic's types of errors."""
    return _REASONS[kind].format(shorten(name) or '""', _show_values(feature))


def explain_json(kind: str, name: str, feature: Feature | None) -> str:
    """The same for a value in JSON, where null is what many write as NaN."""
    reason = explain(kind, name, feature)
    if kind == "finite_number" and feature and feature.may_be_missing:
        return f"{reason} Send null if it is missing."
    return reason


def type_of(feature: Feature) -> Any:
    """What pydantic takes as a value of the feature."""
    return _TYPES[feature.type] | None if feature.may_be_missing else _TYPES[feature.type]
