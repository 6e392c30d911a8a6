"""Every published version: what it is, how good it is, and how to go back to it."""

import os
from typing import Any

import streamlit as st

import charts
import live
import prediction
import texts
from client import BackendError, Json, connect
from drawing import show_chart

CHARTED = 30  # newest versions
HASH_DIGITS = 12
# "none" where no browser reaches it.
MLFLOW_UI_URL = (os.environ.get("MLFLOW_UI_URL") or "http://localhost:8003").rstrip("/")

client = connect()


def tabulate_version(published: Json) -> dict[str, Any]:
    """A row of the table of all versions."""
    dataset = published["dataset"] or {}
    return {
        texts.STATE(): texts.STATES[published["state"]](),
        texts.VERSION(): published["version"],
        texts.PUBLISHED(): say_moment(published),
        texts.ESTIMATOR(): published["estimator"],
        **{name: say_metric(published, name) for name in ("log_loss", "accuracy")},
        texts.TABLE(): dataset.get("name"),
        texts.ROWS(): dataset.get("rows"),
        texts.TABLE_HASH(): (dataset.get("sha256") or "")[:HASH_DIGITS] or None,
        texts.SIGNATURE(): say_signature(published),
        texts.ENGINE(): (published["engine"] or {}).get("name"),
        texts.REASON(): published["reason"],
    }


def show_all(models: list[Json]) -> None:
    rows = [tabulate_version(published) for published in models]
    # What is empty would be shown as None; of numbers it is not.
    shown = [
        {k: "" if v is None and k != texts.ROWS() else v for k, v in row.items()} for row in rows
    ]
    st.dataframe(shown, hide_index=True, alt=texts.ALL_VERSIONS())
    # That of the live one is said at the top of the page.
    said = {model["signature"] for model in models if model["state"] == "live"}
    live.say_meanings({model["signature"] for model in models} - said)


def say_moment(published: Json) -> str | None:
    return texts.moment(published["created_at"]) if published["created_at"] else None


def say_metric(published: Json, name: str) -> str | None:
    metric = published["metrics"].get(name)
    if metric is None:
        return None
    error = find_standard_error(metric)
    return texts.number(metric["mean"], 3) + (f" ± {texts.number(error, 3)}" if error else "")


def find_standard_error(metric: Json) -> float | None:
    """Older manifests have the deviation over the folds in its place, which is no such error."""
    error: float | None = metric.get("standard_error")
    return error


def say_signature(published: Json) -> str | None:
    return texts.SIGNATURES[published["signature"]]() if published["signature"] else None


def show_quality(models: list[Json]) -> None:
    named = list(dict.fromkeys(name for model in models for name in model["metrics"]))
    if not named:
        return
    st.header(texts.QUALITY(), anchor=False)
    name = st.selectbox(texts.METRIC(), named, key="metric")
    st.caption(texts.QUALITY_CAPTION())
    known = [(model["version"], model["metrics"].get(name)) for model in models]
    points = [
        (version, metric["mean"], find_standard_error(metric))
        for version, metric in known
        if metric
    ]
    show_chart(charts.draw_metric(name, points[:CHARTED]), texts.QUALITY())


def show_one(models: list[Json]) -> None:
    st.header(texts.ONE_VERSION(), anchor=False)
    by_version = {model["version"]: model for model in models}
    version = st.selectbox(texts.VERSION(), list(by_version), key="one version")
    published = by_version[version]
    for remark in published["remarks"]:
        st.info(texts.plain(remark))
    if published["reason"]:
        st.error(texts.plain(texts.REFUSED_BECAUSE(reason=published["reason"])))
        return
    facts = tabulate_version(published)
    del facts[texts.TABLE_HASH()]
    if published["engine"]:
        facts[texts.ENGINE()] = f"{published['engine']['name']}: {published['engine']['detail']}"
    facts[texts.REPUBLISHED()] = published["republished_from"]
    known = [(name, texts.plain(str(fact))) for name, fact in facts.items() if fact is not None]
    rows = [{"": name, " ": fact} for name, fact in known]
    st.table(rows, hide_index=True, hide_header=True, border="horizontal")
    if published["dataset"] and published["dataset"]["sha256"]:
        st.caption(texts.TABLE_HASH())
        st.code(published["dataset"]["sha256"], language=None, wrap_lines=True)
    show_way_back(published)
    show_run(version)


def show_way_back(published: Json) -> None:
    if published["state"] == "live" or published["version"] == live.UNVERSIONED:
        return
    st.markdown(texts.GO_BACK())
    st.code(f'make train ARGS="--republish {published["version"]}"', language="bash")


def show_run(version: str) -> None:
    try:
        run = (client.model(version)["manifest"] or {}).get("mlflow")
    except BackendError as error:
        live.note_failure(error)
        return
    if not run:
        st.caption(texts.NO_RUN())
        return
    if MLFLOW_UI_URL == "none":
        st.caption(texts.RUN(run=run["run_id"]))
        return
    st.link_button(
        texts.OPEN_RUN(), f"{MLFLOW_UI_URL}/#/runs/{run['run_id']}", icon=":material/open_in_new:"
    )


def show_comparison(models: list[Json]) -> None:
    st.header(texts.COMPARE(), anchor=False)
    versions = [model["version"] for model in models if model["state"] != "refused"]
    if len(versions) <= 1:
        st.caption(texts.ONE_MODEL_ONLY())
        return
    inputs = find_inputs()
    if inputs is None:
        st.caption(texts.NOTHING_TO_COMPARE_WITH())
        return
    st.caption(texts.COMPARE_CAPTION())
    left, right = st.columns(2)
    chosen = [
        left.selectbox(texts.FIRST_VERSION(), versions, 0, key="first version"),
        right.selectbox(texts.SECOND_VERSION(), versions, 1, key="second version"),
    ]
    answers = {version: ask_version(version, inputs) for version in dict.fromkeys(chosen)}
    show_answers({version: answer for version, answer in answers.items() if answer})


def find_inputs() -> Json | None:
    model = st.session_state.get("live")
    if not model:
        return None
    last = prediction.get_last(model["manifest"])
    examples = model["manifest"]["examples"]
    return last.inputs if last else examples[0]["inputs"] if examples else None


def ask_version(version: str, inputs: Json) -> Json | None:
    try:
        return client.predict(inputs, version)
    except BackendError as error:
        st.warning(texts.plain(texts.ANSWER_OF(version=version, answer=error.detail)))
        return None


def show_answers(answers: dict[str, Json]) -> None:
    for version, answer in answers.items():
        label = f"**{texts.plain(answer['prediction_class'])}**"
        st.markdown(texts.ANSWER_OF(version=texts.plain(version), answer=label))
    shares = {version: answer["probabilities"] for version, answer in answers.items()}
    known = {version: by_class for version, by_class in shares.items() if by_class}
    # Of many classes those that any of the versions thinks most likely.
    peaks: dict[str, float] = {}
    for by_class in known.values():
        for name, share in by_class.items():
            peaks[name] = max(peaks.get(name, 0.0), share)
    pairs = {
        name: {version: by_class.get(name, 0.0) for version, by_class in known.items()}
        for name in sorted(peaks, key=lambda name: -peaks[name])
    }
    if pairs:
        show_chart(charts.draw_pairs(pairs, texts.PROBABILITY()), texts.COMPARE())


st.markdown(texts.MODELS_INTRODUCTION())
try:
    models = client.models()
except BackendError as error:
    live.note_failure(error)
    st.stop()
if not models:
    st.markdown(texts.NO_MODELS())
    st.code("make train", language="bash")
    st.stop()
show_all(models)
one, quality = st.columns(2, gap="large")
with one:
    show_one(models)
with quality:
    show_quality(models)
show_comparison(models)
