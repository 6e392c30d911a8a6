"""A form drawn from the live model, and the model's answer."""

from typing import Any

import streamlit as st

import texts
from charts import draw_probabilities
from client import BackendAway, BackendClient, BackendError, connect

FIELDS_IN_A_ROW = 2


@st.fragment(run_every="2s")
def wait_for(client: BackendClient) -> None:
    """Draw the page anew once the backend answers."""
    st.caption(texts.WAITING)
    try:
        client.live_manifest()
    except BackendError:
        return
    st.rerun()


def show_failure(error: BackendError, client: BackendClient) -> None:
    if not isinstance(error, BackendAway):
        st.warning(texts.plain(error.detail))
        return
    st.warning(error.detail)
    wait_for(client)


def enter_number(feature: dict[str, Any]) -> float | None:
    start = feature["median"] or 0.0
    key = name_widget(feature)
    if feature["nullable"]:
        # A field that starts from a value of its own cannot be emptied again.
        st.session_state.setdefault(key, start)
    value = st.number_input(
        texts.label(feature),
        value=None if feature["nullable"] else start,
        step=feature["step"],
        format="%g",
        key=key,
    )
    if feature["min"] is not None:
        st.caption(texts.training_range(feature))
    return value


def choose_boolean(feature: dict[str, Any]) -> bool | None:
    choices: dict[str, bool | None] = {texts.YES: True, texts.NO: False}
    if feature["nullable"]:
        choices[texts.MISSING] = None
    start = list(choices.values()).index(feature["mode"])
    chosen = st.radio(
        texts.label(feature), choices, start, horizontal=True, key=name_widget(feature)
    )
    return choices[chosen]


def choose_value(feature: dict[str, Any]) -> str | None:
    values: list[str] = feature["values"]
    missing = texts.missing_among(values)
    choices = [*values, missing] if feature["nullable"] else values
    start = values.index(feature["mode"])
    chosen = st.selectbox(texts.label(feature), choices, start, key=name_widget(feature))
    return None if chosen == missing else chosen


def name_widget(feature: dict[str, Any]) -> str:
    # With the type, as what was entered must not reach a widget of another one.
    return f"{feature['type']} {feature['name']}"


ENTER = {"number": enter_number, "boolean": choose_boolean, "category": choose_value}

client = connect()
st.title(texts.TITLE, anchor=False)

failure = None
try:
    st.session_state["manifest"] = client.live_manifest()
except BackendError as error:
    failure = error
    show_failure(error, client)
# Where that failed the form seen last stays, with what has been typed into it.
manifest = st.session_state.get("manifest")
if not manifest:
    st.stop()

st.markdown(texts.introduction(manifest))
with st.form("instance"):
    instance = {}
    # Row by row, so that the Tab key follows the model's order.
    cells = (cell for _ in manifest["features"] for cell in st.columns(FIELDS_IN_A_ROW))
    for feature, cell in zip(manifest["features"], cells, strict=False):
        with cell:
            instance[feature["name"]] = ENTER[feature["type"]](feature)
    asked = st.form_submit_button(texts.PREDICT, type="primary")
st.caption(texts.described(manifest))

if asked:
    st.session_state.pop("answer", None)
if asked and not failure:
    try:
        st.session_state["answer"] = client.predict(instance)
    except BackendError as error:
        show_failure(error, client)

answer = st.session_state.get("answer")
if not answer:
    st.stop()
st.metric(texts.target(manifest), texts.plain(answer["prediction_class"]))
if answer["probabilities"]:
    st.altair_chart(draw_probabilities(answer["probabilities"]))
for warning in answer["warnings"]:
    st.warning(texts.plain(warning["detail"]))
st.caption(texts.answered_by(answer["model_version"]))
