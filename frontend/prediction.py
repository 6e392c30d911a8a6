"""What has been asked in this session, and what the model answered."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import streamlit as st

from client import BackendAway, BackendClient, BackendError, Json
from fields import Instance

KEPT = 1000  # predictions of a session


class Prediction(NamedTuple):
    """An instance with its answer, and the manifest that its form was drawn from."""

    inputs: Instance
    answer: Json
    manifest: Json
    time: datetime


def ask(client: BackendClient, manifest: Json, inputs: Instance) -> None:
    """Raises BackendError; the prediction before then stays the last one."""
    answer = client.predict(inputs)
    made = Prediction(inputs, answer, manifest, datetime.now(UTC))
    history = [*get_history(), made]
    st.session_state["history"] = history[-KEPT:]
    st.session_state["explanations"] = {}


def get_history() -> list[Prediction]:
    """Oldest first."""
    history: list[Prediction] = st.session_state.get("history", [])
    return history


def get_last(manifest: Json) -> Prediction | None:
    """None where that was of a model that took other values."""
    history = get_history()
    if not history or _list_types(history[-1].manifest) != _list_types(manifest):
        return None
    return history[-1]


def _list_types(manifest: Json) -> list[tuple[str, str]]:
    return [(feature["name"], feature["type"]) for feature in manifest["features"]]


def explain(client: BackendClient, made: Prediction, vary: str | None = None) -> Json:
    """Why it was answered so, by the model that did; asked once.

    Raises BackendAway; any other refusal is an explanation with a `refusal`.
    """
    known: dict[str | None, Json] = st.session_state["explanations"]
    if vary not in known:
        try:
            known[vary] = client.explain(made.inputs, made.answer["model_version"], vary)
        except BackendAway:
            raise
        except BackendError as error:
            known[vary] = {"refusal": error}
    return known[vary]


def tabulate_history(history: list[Prediction]) -> list[dict[str, Any]]:
    """A row each, newest first: the answer's columns, and those of the inputs, which keep their
    names."""
    return [_to_row(made) for made in reversed(history)]


def _to_row(made: Prediction) -> dict[str, Any]:
    answer = {
        "time": made.time.isoformat(timespec="seconds"),
        "prediction_class": made.answer["prediction_class"],
        "probability": (made.answer["probabilities"] or {}).get(made.answer["prediction_class"]),
        "model_version": made.answer["model_version"],
    }
    return {
        _find_free_name(name, made.inputs): value for name, value in answer.items()
    } | made.inputs


def _find_free_name(name: str, taken: Instance) -> str:
    return _find_free_name(f"{name}_", taken) if name in taken else name
