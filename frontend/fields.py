"""The widgets that a model's features are entered with."""

from collections.abc import Iterable, Mapping
from typing import Any

import streamlit as st

import texts

FIELD_WIDTH = 170  # pixels, below which a field takes a row of its own
NOTHING = "\0"  # the choice of a missing value, which no table has

Feature = dict[str, Any]
Value = bool | float | str | None
Instance = dict[str, Any]


def prepare(features: Iterable[Feature], given: Mapping[str, Any]) -> None:
    """Start each field from what is given, unless something has been entered there."""
    for feature in features:
        entered = st.session_state.get(_name_key(feature))
        if _name_key(feature) not in st.session_state or not _may_hold(feature, entered):
            start = given.get(feature["name"], _find_middle(feature))
            st.session_state[_name_key(feature)] = _to_widget(feature, start)


def fill(features: Iterable[Feature], instance: Instance) -> None:
    """Before the fields are drawn."""
    for feature in features:
        value = instance.get(feature["name"])
        st.session_state[_name_key(feature)] = _to_widget(feature, value)


def read(features: Iterable[Feature]) -> Instance:
    """What has been entered; None where nothing was."""
    entered = {feature["name"]: st.session_state.get(_name_key(feature)) for feature in features}
    return {name: None if value == NOTHING else value for name, value in entered.items()}


def find_empty(features: Iterable[Feature], instance: Instance) -> list[str]:
    """The features that must have a value and have none."""
    needed = [feature["name"] for feature in features if not feature["nullable"]]
    return [name for name in needed if instance.get(name) is None]


def draw(features: Iterable[Feature], notes: Mapping[str, str]) -> None:
    """A field for each, with the note on it where there is one."""
    grid = st.grid(2, min_column_width=FIELD_WIDTH)
    for feature in features:
        with grid.cell():
            _DRAW[feature["type"]](feature)
            note = notes.get(feature["name"])
            if note:
                st.caption(f":orange-badge[:material/warning:] {note}")


def name_example(example: dict[str, Any], classes: list[str]) -> str:
    """The class that the model gave it at its training."""
    probabilities: list[float] = example["probabilities"]
    return classes[probabilities.index(max(probabilities))]


def takes(feature: Feature, value: Any) -> bool:
    """Whether it is a value of the feature's type; any number, but known categories only."""
    if value is None:
        return bool(feature["nullable"])
    if feature["type"] == "category":
        return bool(value in feature["values"])
    return isinstance(value, bool) == bool(feature["type"] == "boolean")


def _may_hold(feature: Feature, entered: Any) -> bool:
    """As `takes`, of what a widget holds; a number's field may be emptied and filled again."""
    if entered is None:
        return bool(feature["type"] == "number")
    return takes(feature, None if entered == NOTHING else entered)


def _find_middle(feature: Feature) -> Any:
    if feature["type"] == "number":
        return 0.0 if feature["median"] is None else feature["median"]
    return feature["mode"]


def _to_widget(feature: Feature, value: Any) -> Any:
    if feature["type"] == "number":
        return None if value is None else float(value)
    return NOTHING if value is None else value


def _draw_number(feature: Feature) -> None:
    st.number_input(
        texts.plain(texts.label(feature)),
        value=None,  # or the field could not be emptied
        step=feature["step"],
        format="%g",
        key=_name_key(feature),
        persist_state="session",
        placeholder=texts.MISSING() if feature["nullable"] else None,
    )
    if feature["min"] is not None:
        st.caption(texts.training_range(feature))


def _draw_boolean(feature: Feature) -> None:
    st.radio(
        texts.plain(texts.label(feature)),
        [True, False, NOTHING] if feature["nullable"] else [True, False],
        format_func=lambda value: texts.value(None if value == NOTHING else value),
        horizontal=True,
        key=_name_key(feature),
        persist_state="session",
    )


def _draw_category(feature: Feature) -> None:
    values = feature["values"]
    missing = texts.missing_among(values)
    st.selectbox(
        texts.plain(texts.label(feature)),
        [*values, NOTHING] if feature["nullable"] else values,
        format_func=lambda value: missing if value == NOTHING else value,
        key=_name_key(feature),
        persist_state="session",
    )


def _name_key(feature: Feature) -> str:
    # With the type, as what was entered must not reach a widget of another one.
    return f"{feature['type']} {feature['name']}"


_DRAW = {"number": _draw_number, "boolean": _draw_boolean, "category": _draw_category}
