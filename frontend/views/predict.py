"""A form drawn from the live model, and its answer."""

import streamlit as st

import address
import charts
import fields
import insight
import live
import prediction
import texts
from client import BackendAway, BackendError, connect
from drawing import show_chart

SHOWN_INPUTS = 8  # of an answer, in words

client = connect()
manifest = live.require_model()["manifest"]
features = manifest["features"]


def ask(inputs: fields.Instance) -> None:
    """Called before the page is drawn, so that it has the answer from its top on."""
    st.session_state["empty"] = fields.find_empty(features, inputs)
    st.session_state["refusal"] = st.session_state["unanswered"] = None
    if st.session_state["empty"]:
        return
    try:
        prediction.ask(client, manifest, inputs)
    except BackendAway:
        st.session_state["unanswered"] = inputs  # asked again by itself, once that helps
    except BackendError as error:
        st.session_state["refusal"] = error


def ask_as_entered() -> None:
    ask(fields.read(features))


def take_from_address() -> None:
    """Once: the values of a link that somebody shared, and where they are whole the answer."""
    if st.session_state.setdefault("address_taken", False):
        return
    st.session_state["address_taken"] = True
    shared = address.read(features)
    fields.prepare(features, shared)
    whole = {feature["name"]: shared.get(feature["name"]) for feature in features}
    if shared and not fields.find_empty(features, whole):
        fields.fill(features, whole)
        ask(whole)


def fill_in(example: fields.Instance) -> None:
    st.session_state["empty"], st.session_state["refusal"] = [], None
    fields.fill(features, example)


def note_values(made: prediction.Prediction | None) -> dict[str, str]:
    """What there is to say beside the fields."""
    notes = dict.fromkeys(st.session_state.get("empty") or [], texts.ENTER_VALUE())
    if made is None:
        return notes
    now = fields.read(features)
    by_name = {feature["name"]: feature for feature in features}
    for name in (warning["feature"] for warning in made.answer["warnings"]):
        if now[name] == made.inputs[name]:
            notes[name] = _say_unusual(by_name[name], now[name])
    return notes


def _say_unusual(feature: fields.Feature, value: fields.Value) -> str:
    if value is None:
        return texts.FILLED_IN()
    if feature["type"] == "number":
        return texts.OUTSIDE(**texts.range_of(feature))
    return texts.UNKNOWN_VALUE()


def show_answer(made: prediction.Prediction) -> None:
    answer = made.answer
    st.metric(texts.plain(texts.target(manifest)), texts.plain(answer["prediction_class"]))
    if answer["probabilities"]:
        spec = charts.draw_probabilities(answer["probabilities"])
        show_chart(spec, texts.PROBABILITIES_OF())
    else:
        st.caption(texts.NO_PROBABILITIES())
    said = [
        f"{texts.label({'name': name})} {texts.value(made.inputs[name])}" for name in made.inputs
    ]
    st.caption(texts.plain(texts.ANSWERED_FOR(inputs=texts.list_some(said, SHOWN_INPUTS, " · "))))
    st.caption(texts.plain(texts.ANSWERED_BY(version=answer["model_version"])))
    if answer["model_version"] != st.session_state["live"]["version"]:
        st.info(texts.MODEL_CHANGED())


def take_feedback(made: prediction.Prediction) -> None:
    """Where the backend takes it."""
    if not live.offers(client, "/feedback"):
        return
    given = st.session_state.setdefault("feedback", {})
    number = made.answer["prediction_id"]
    if number in given:
        st.success(texts.THANKS(label=texts.plain(given[number])))
        return
    with st.popover(texts.WRONG(), icon=":material/flag:"), st.form("wrong-answer"):
        classes = made.manifest["target"]["classes"]
        right = st.selectbox(texts.RIGHT_CLASS(), classes, index=None, key="right class")
        if st.form_submit_button(texts.SEND()) and right is not None:
            give_feedback(number, right)


def give_feedback(number: str, right: str) -> None:
    try:
        client.give_feedback(number, right)
    except BackendError as error:
        # Nothing sends it again by itself, whatever the page says of a backend that is away.
        said = texts.NOT_NOTED(detail=error.said) if error.said else error.detail
        st.warning(texts.plain(said), icon=":material/flag:")
        return
    st.session_state["feedback"][number] = right
    st.rerun()


take_from_address()
unanswered = st.session_state.get("unanswered")
if unanswered and live.is_answering():
    ask(unanswered)
fields.prepare(features, {})
last = prediction.get_last(manifest)
is_shared = last is not None and address.write(last.inputs)

form, answer = st.columns([2, 3], gap="large")
with form:
    st.markdown(texts.INTRODUCTION(target=texts.plain(texts.words(manifest["target"]["name"]))))
    if manifest["examples"]:
        st.caption(texts.EXAMPLES())
        with st.container(horizontal=True, gap="small"):
            for index, example in enumerate(manifest["examples"]):
                name = fields.name_example(example, manifest["target"]["classes"])
                st.button(
                    texts.plain(name),
                    key=f"example {index}",
                    on_click=fill_in,
                    args=[example["inputs"]],
                )
    with st.form("instance"):
        fields.draw(features, note_values(last))
        st.form_submit_button(texts.PREDICT(), type="primary", on_click=ask_as_entered)
with answer:
    refusal = st.session_state.get("refusal")
    if refusal:
        live.show_failure(refusal)
    if last:
        show_answer(last)
        if is_shared:
            st.caption(texts.SHARE())
        take_feedback(last)
    else:
        st.info(texts.NOTHING_ASKED())
        insight.show_places(manifest, None)

if last:
    reasons, what_if = st.columns(2, gap="large")
    with reasons:
        insight.show_reasons(client, manifest, last)
    with what_if:
        insight.show_what_if(client, manifest, last)
    insight.show_places(manifest, last)
insight.show_history()
