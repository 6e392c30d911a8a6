"""The model that is live, as this session has last seen it."""

import streamlit as st

import texts
from client import BackendAway, BackendClient, BackendError, Json

LOOK_SECONDS = 2
UNVERSIONED = "model"  # the only version that may change


def follow(client: BackendClient) -> None:
    """Say which model is live, and draw the page anew as soon as that changes."""
    before = st.session_state.get("drawn")
    _look_for_live(client)
    model, failure = _get_state()
    if failure:
        show_failure(failure)
    if model:
        st.caption(_describe_live(model))
        say_meanings({model["signature"]})
    if model and before and model["version"] != before:
        st.toast(texts.NEW_MODEL(**_name_model(model)), icon="🌸", duration="long")
    st.session_state["drawn"] = model and model["version"]
    st.session_state["looked"] = True  # by this run: the first look of the watch is not needed
    _watch(client)


def require_model() -> Json:
    """What is known of the model seen last, its manifest included; ends the page without one."""
    model: Json | None = st.session_state.get("live")
    if not model:
        st.stop()
    return model


def is_answering() -> bool:
    return st.session_state["failure"] is None


def show_failure(error: BackendError) -> None:
    st.warning(texts.plain(error.detail), icon=":material/cloud_off:")


def say_meanings(signatures: set[str]) -> None:
    """Explain the words that a reader of the page does not know."""
    for signature in sorted(signatures & texts.SIGNATURE_MEANINGS.keys()):
        st.caption(texts.SIGNATURE_MEANINGS[signature]())


def note_failure(error: BackendError) -> None:
    """Say it, unless the top of the page has; where the backend is away, the page awaits it."""
    is_said = not is_answering()
    if isinstance(error, BackendAway):
        st.session_state["failure"] = error
        if is_said:
            return
    show_failure(error)


@st.fragment(run_every=LOOK_SECONDS)
def _watch(client: BackendClient) -> None:
    if st.session_state.pop("looked", False):
        return
    before = _identify(*_get_state())
    _look_for_live(client)
    if _identify(*_get_state()) != before:
        st.rerun()


def _look_for_live(client: BackendClient) -> None:
    try:
        st.session_state["live"] = _find_live(client)
        st.session_state["failure"] = None
    except BackendError as error:
        # The model seen last stays, with the form drawn from it and what was typed there.
        st.session_state["failure"] = error


def _get_state() -> tuple[Json | None, BackendError | None]:
    """The model seen last, and why the last look failed, if it did."""
    return st.session_state.get("live"), st.session_state.get("failure")


def _identify(model: Json | None, failure: BackendError | None) -> tuple[str, str]:
    """What the page has to be drawn anew for."""
    return model["version"] if model else "", failure.detail if failure else ""


def _find_live(client: BackendClient) -> Json:
    version = client.live_version()
    found = None if version == UNVERSIONED else _find_published(client, version)
    return found or client.live_model()


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs={BackendClient: id})
def _find_published(client: BackendClient, version: str) -> Json | None:
    """Asked once for all sessions, as a published version never changes.

    None if it is live in memory alone and its file is refused, or if its key may still come.
    """
    model = client.model(version)
    return model if model["manifest"] and model["signature"] != "unchecked" else None


def offers(client: BackendClient, route: str) -> bool:
    """Whether the backend has the route; not while it does not say."""
    try:
        return route in _find_routes(client, require_model()["version"])
    except BackendError:
        return False


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs={BackendClient: id})
def _find_routes(client: BackendClient, version: str) -> set[str]:  # noqa: ARG001
    """Asked once for each model that goes live, with which the backend may be another, too."""
    return client.routes()


def _describe_live(model: Json) -> str:
    manifest = model["manifest"]
    values = _name_model(model) | {"signature": texts.SIGNATURES[model["signature"]]()}
    if not manifest["dataset"]:
        return texts.LIVE_UNKNOWN(**values)
    rows = texts.number(manifest["dataset"]["rows"])
    return texts.LIVE(rows=rows, name=texts.plain(manifest["name"]), **values)


def _name_model(model: Json) -> dict[str, str]:
    return {"estimator": texts.plain(model["estimator"]), "version": texts.plain(model["version"])}
