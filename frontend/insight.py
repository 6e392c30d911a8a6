"""Shows why the model answered as it did, and what it would answer otherwise."""

from typing import Any

import streamlit as st

import charts
import histograms
import live
import prediction
import texts
from client import BackendAway, BackendClient, Json
from downloads import offer_download, write_rows
from drawing import show_chart
from prediction import Prediction

SHOWN_REASONS = 10
SHOWN_PLACES = 8  # histograms at a time


def show_reasons(client: BackendClient, manifest: Json, made: Prediction) -> None:
    st.header(texts.WHY(), anchor=False)
    explanation = _ask_why(client, made)
    if explanation is None:
        return
    st.caption(texts.WHY_CAPTION(label=texts.plain(explanation["prediction_class"])))
    ranked = _rank_contributions()
    labels = {feature["name"]: texts.label(feature) for feature in manifest["features"]}
    shown = [(f"{labels[name]} = {texts.value(made.inputs[name])}", by) for name, by in ranked]
    show_chart(charts.draw_contributions(shown[:SHOWN_REASONS]), texts.WHY())
    if len(shown) > SHOWN_REASONS:
        st.caption(texts.MORE_FEATURES(count=len(shown) - SHOWN_REASONS))


@st.fragment
def show_places(manifest: Json, made: Prediction | None) -> None:
    """The training histogram of each feature, those that matter most first."""
    features = [feature for feature in manifest["features"] if feature.get("histogram")]
    if made:
        st.header(texts.WHERE(), anchor=False)
    if not features:
        st.caption(texts.NO_HISTOGRAMS())
        return
    st.caption(texts.WHERE_CAPTION() if made else texts.LEARNED_CAPTION())
    for_rank = _rank_contributions() if made else []
    order = {name: index for index, (name, _) in enumerate(for_rank)}
    features.sort(key=lambda feature: order.get(feature["name"], 0))
    pages = -(-len(features) // SHOWN_PLACES)
    page = st.pagination(pages, key=f"places {bool(made)}") if pages > 1 else 1
    probabilities = made.answer["probabilities"] if made else None
    every = manifest["target"]["classes"]
    classes = histograms.pick_classes(every, probabilities)
    histograms.show_legend(every, classes)
    grid = st.grid(4 if made else 2, min_column_width=240, gap="medium")
    for feature in features[(page - 1) * SHOWN_PLACES : page * SHOWN_PLACES]:
        entered = made.inputs[feature["name"]] if made else None
        spec = histograms.draw_histogram(feature, classes, entered)
        with grid.cell():
            show_chart(spec, texts.HISTOGRAM_OF(feature=texts.label(feature)))


@st.fragment
def show_what_if(client: BackendClient, manifest: Json, made: Prediction) -> None:
    if not made.answer["probabilities"] or not live.is_answering():
        return
    st.header(texts.WHAT_IF(), anchor=False)
    st.caption(texts.WHAT_IF_CAPTION())
    feature = _choose_feature(manifest)
    explanation = _ask_why(client, made, feature["name"])
    if explanation:
        _show_curve(feature, explanation["curve"], made)


def _choose_feature(manifest: Json) -> Json:
    """At first the one that moves the answer most."""
    ranked = [name for name, _ in _rank_contributions()]
    features: dict[str, Json] = {feature["name"]: feature for feature in manifest["features"]}
    names: list[str] = [*ranked, *(name for name in features if name not in ranked)]
    chosen: str = st.selectbox(
        texts.MOVED_FEATURE(),
        names,
        format_func=lambda name: texts.label(features[name]),
        key="moved",
    )
    return features[chosen]


def _show_curve(feature: Json, curve: Json, made: Prediction) -> None:
    points, name = curve["values"], texts.label(feature)
    said = [texts.value(point) for point in points]
    at = _find_nearest(points, made.inputs[feature["name"]])
    if len(points) > 1:
        at = st.select_slider(
            texts.plain(name),
            range(len(points)),
            value=at,
            format_func=said.__getitem__,
            key=f"what if {feature['name']} {made.answer['prediction_id']}",
        )
    shares = {label: column[at] or 0 for label, column in curve["probabilities"].items()}
    label = max(shares, key=shares.__getitem__)
    changed = {"feature": texts.plain(name), "value": texts.plain(said[at])}
    would_be = {"label": f"**{texts.plain(label)}**", "share": texts.percent(shares[label])}
    st.markdown(texts.WOULD_BE(**changed, **would_be))
    shown = points if feature["type"] == "number" else said
    spec = charts.draw_curve(name, shown, curve["probabilities"], at)
    show_chart(spec, texts.CURVE_OF(feature=name))


def show_history() -> None:
    history = prediction.get_history()
    if not history:
        return
    rows = prediction.tabulate_history(history)
    with st.expander(f"{texts.HISTORY()} ({len(rows)})", icon=":material/history:"):
        st.dataframe(
            rows,
            hide_index=True,
            alt=texts.HISTORY(),
            column_config={
                "time": texts.TIME(),
                "prediction_class": texts.CLASS(),
                "probability": st.column_config.ProgressColumn(
                    texts.PROBABILITY(), format="percent", min_value=0, max_value=1
                ),
                "model_version": texts.MODEL(),
            },
        )
        if len(rows) >= prediction.KEPT:
            st.caption(texts.HISTORY_NOTE(count=prediction.KEPT))
        offer_download(texts.DOWNLOADS["csv"](), lambda: write_rows(rows), "predictions.csv")


def _ask_why(client: BackendClient, made: Prediction, vary: str | None = None) -> Json | None:
    """None where there is none, which the page says here or at its top."""
    try:
        explanation = prediction.explain(client, made, vary)
    except BackendAway as error:
        live.note_failure(error)
        return None
    if "refusal" not in explanation:
        return explanation
    st.caption(texts.plain(texts.WHY_NOT(detail=explanation["refusal"].detail)))
    return None


def _rank_contributions() -> list[tuple[str, float]]:
    """Names and contributions to the last answer, the largest first."""
    explanation = st.session_state["explanations"].get(None, {})
    known = [
        (found["feature"], found["contribution"])
        for found in explanation.get("contributions", [])
        if found["contribution"] is not None
    ]
    return sorted(known, key=lambda pair: -abs(pair[1]))


def _find_nearest(points: list[Any], value: Any) -> int:
    if value in points:
        return points.index(value)
    if isinstance(value, float):
        return min(range(len(points)), key=lambda index: abs(points[index] - value))
    return 0
