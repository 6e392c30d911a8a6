"""Carries an instance in the address of the page, so that a prediction can be shared."""

import math
from collections.abc import Sequence
from typing import Any

import streamlit as st

import fields

RESERVED = ("embed", "embed_options", "language")  # what Streamlit and this page itself use
BOOLEANS = {"true": True, "false": False}
LONGEST = 8000  # characters that every browser and server takes


def read(features: Sequence[fields.Feature]) -> fields.Instance:
    """The values that the address gives and the features can take."""
    found = {}
    for feature in features:
        text = st.query_params.get(_parameter(feature["name"]))
        if text is not None and fields.takes(feature, value := _parse_value(feature, text)):
            found[feature["name"]] = value
    return found


def write(instance: fields.Instance) -> bool:
    """Leave out what is missing; False where the address would be too long."""
    wanted = {
        _parameter(key): _to_text(value) for key, value in instance.items() if value is not None
    }
    if sum(len(name) + len(value) + 2 for name, value in wanted.items()) > LONGEST:
        wanted = {}
    for name in set(st.query_params) - set(wanted) - {"language"}:
        del st.query_params[name]
    st.query_params.update(wanted)
    return bool(wanted)


def _parameter(name: str) -> str:
    return f"{name}_" if name.rstrip("_") in RESERVED else name


def _parse_value(feature: fields.Feature, text: str) -> Any:
    """None where it is no value of the feature."""
    if feature["type"] == "category":
        return text
    if feature["type"] == "boolean":
        return BOOLEANS.get(text)
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _to_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else repr(value).removesuffix(".0")
