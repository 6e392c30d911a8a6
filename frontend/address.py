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
    given = {it["name"]: st.query_params.get(_parameter(it["name"])) for it in features}
    read_out = {it["name"]: _parse(it, given[it["name"]]) for it in features}
    return {
        it["name"]: read_out[it["name"]]
        for it in features
        if given[it["name"]] is not None and fields.takes(it, read_out[it["name"]])
    }


def write(instance: fields.Instance) -> bool:
    """Leave out what is missing; False where the address would be too long."""
    wanted = {_parameter(name): _say(it) for name, it in instance.items() if it is not None}
    if sum(len(name) + len(value) + 2 for name, value in wanted.items()) > LONGEST:
        wanted = {}
    for name in set(st.query_params) - set(wanted) - {"language"}:
        del st.query_params[name]
    st.query_params.update(wanted)
    return bool(wanted)


def _parameter(name: str) -> str:
    return f"{name}_" if name.rstrip("_") in RESERVED else name


def _parse(feature: fields.Feature, text: str | None) -> Any:
    """None where it is no value of the feature."""
    if text is None or feature["type"] == "category":
        return text
    if feature["type"] == "boolean":
        return BOOLEANS.get(text)
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _say(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else repr(value).removesuffix(".0")
