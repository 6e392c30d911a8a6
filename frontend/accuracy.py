"""Shows how often the model was right, of the answers that feedback was given on."""

from collections.abc import Sequence

import streamlit as st

import charts
import texts
from client import Json
from drawing import show_chart

MOST_CLASSES = 15  # of a matrix; of more there is a list


def show_accuracy(accuracy: Json, manifest: Json) -> None:
    labelled = {found["model_version"]: found for found in accuracy["versions"] if found["count"]}
    if not labelled:
        st.caption(texts.NO_ACCURACY())
        return
    version = _choose_version(list(labelled))
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


def find_live_accuracy(seen: Json) -> Json:
    """What is known of the live version's answers."""
    versions = (seen.get("accuracy") or {"versions": []})["versions"]
    by_version: dict[str, Json] = {found["model_version"]: found for found in versions}
    return by_version.get(seen["model_version"], {"accuracy": None, "count": 0})


def _choose_version(versions: list[str]) -> str:
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
        st.dataframe(_list_cells(confusion), hide_index=True, alt=texts.CONFUSION())
        return
    st.caption(texts.CONFUSION_CAPTION())
    show_chart(charts.draw_confusion(confusion, classes), texts.CONFUSION())


def _find_classes(confusion: Json, known: Sequence[str]) -> list[str]:
    """The live model's, or of very many and of another model's those that occur."""
    occurring = {*confusion, *(name for by_class in confusion.values() for name in by_class)}
    if not occurring <= set(known):
        return sorted(occurring)
    return [name for name in known if name in occurring or len(known) <= MOST_CLASSES]


def _list_cells(confusion: Json) -> list[Json]:
    cells = [(right, name, n) for right, row in confusion.items() for name, n in row.items()]
    cells.sort(key=lambda cell: (cell[0] == cell[1], -cell[2]))
    headings = (texts.RIGHT(), texts.PREDICTED(), texts.ROWS())
    return [dict(zip(headings, cell, strict=True)) for cell in cells]


def _show_calibration(bins: list[Json]) -> None:
    st.subheader(texts.CALIBRATION(), anchor=False)
    if not bins:
        st.caption(texts.NO_PROBABILITIES())
        return
    st.caption(texts.CALIBRATION_CAPTION())
    show_chart(charts.draw_calibration(bins), texts.CALIBRATION())
