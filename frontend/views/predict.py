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
    st.warning(error.detail)
    if isinstance(error, BackendAway):
        wait_for(client)


def enter(feature: dict[str, Any]) -> float:
    value: float = st.number_input(
        texts.label(feature),
        value=feature["median"] or 0.0,
        step=feature["step"],
        format="%g",
        key=f"feature {feature['name']}",
    )
    if feature["min"] is not None:
        st.caption(texts.training_range(feature))
    return value


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
            instance[feature["name"]] = enter(feature)
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
