"""Shows how often the model was right, of the answers that feedback was given on."""

from collections.abc import Sequence

import streamlit as st

import charts
import texts
from client import Json
from drawing import show_chart

MOST_CLASSES = 15  # of a matrix; of more there is a list


def show_accuracy(seen: Json, manifest: Json) -> None:
    st.header(texts.ACCURACY(), anchor=False)
    accuracy = seen.get("accuracy")
    if not accuracy:
        st.caption(texts.NOT_KNOWN_NOW() if seen.get("journal") else texts.NOTHING_TO_MEASURE())
        return
    labelled = {it["model_version"]: it for it in accuracy["versions"] if it["count"]}
    if not labelled:
        st.caption(texts.NO_ACCURACY())
        return
    version = _choose(list(labelled))
    found = labelled[version]
    st.caption(texts.ACCURACY_CAPTION(version=texts.plain(version)))
    figures = st.grid(3, min_column_width=150)
    figures.metric(texts.ACCURACY_SHARE(), say_share(found["accuracy"]), border=True)
    figures.metric(texts.EXPECTED(), say_share(found["expected"]), border=True)
    figures.metric(texts.LABELLED(), texts.number(found["count"]), border=True)
    confusion, calibration = st.columns(2, gap="large")
    with confusion:
        _show_confusion(found["confusion"], manifest["target"]["classes"])
    with calibration:
        _show_calibration(found["calibration"])


def say_share(share: float | None) -> str:
    return "–" if share is None else texts.percent(share)


def find_live(seen: Json) -> Json | None:
    """What is known of the live version's answers."""
    versions = (seen.get("accuracy") or {"versions": []})["versions"]
    return next((it for it in versions if it["model_version"] == seen["model_version"]), None)


def _choose(versions: list[str]) -> str:
    if len(versions) == 1:
        return versions[0]
    chosen: str = st.selectbox(
        texts.VERSION(), versions, key="labelled version", persist_state="session"
    )
    return chosen


def _show_confusion(confusion: Json, known: Sequence[str]) -> None:
    st.subheader(texts.CONFUSION(), anchor=False)
    classes = _find_classes(confusion, known)
    if len(classes) > MOST_CLASSES:
        st.caption(texts.CONFUSION_LIST())
        st.dataframe(_list_pairs(confusion), hide_index=True, alt=texts.CONFUSION())
        return
    st.caption(texts.CONFUSION_CAPTION())
    show_chart(charts.draw_confusion(confusion, classes), texts.CONFUSION())


def _find_classes(confusion: Json, known: Sequence[str]) -> list[str]:
    """The live model's, or of very many and of another model's those that occur."""
    occurring = {*confusion, *(it for by_class in confusion.values() for it in by_class)}
    if not occurring <= set(known):
        return sorted(occurring)
    return [it for it in known if it in occurring or len(known) <= MOST_CLASSES]


def _list_pairs(confusion: Json) -> list[Json]:
    pairs = [(right, it, n) for right, by_class in confusion.items() for it, n in by_class.items()]
    pairs.sort(key=lambda pair: (pair[0] == pair[1], -pair[2]))
    headings = (texts.RIGHT(), texts.PREDICTED(), texts.ROWS())
    return [dict(zip(headings, pair, strict=True)) for pair in pairs]


def _show_calibration(bins: list[Json]) -> None:
    st.subheader(texts.CALIBRATION(), anchor=False)
    if not bins:
        st.caption(texts.NO_PROBABILITIES())
        return
    st.caption(texts.CALIBRATION_CAPTION())
    show_chart(charts.draw_calibration(bins), texts.CALIBRATION())
