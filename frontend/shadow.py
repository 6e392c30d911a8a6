"""Shows a model that is asked in the shadow of the live one."""

import streamlit as st

import texts
from accuracy import find_live_accuracy, say_share
from client import Json


def show_shadow(seen: Json) -> None:
    """Nothing where there is none."""
    shadow = seen.get("shadow")
    if not shadow:
        return
    live = find_live_accuracy(seen)
    st.header(texts.SHADOW(), anchor=False)
    st.caption(texts.SHADOW_CAPTION(version=texts.plain(shadow["model_version"])))
    figures = st.grid(4, min_column_width=150)
    figures.metric(texts.SHADOW_ANSWERED(), texts.number(shadow["answered"]), border=True)
    figures.metric(texts.AGREEMENT(), say_share(shadow["agreement"]), border=True)
    figures.metric(texts.SHADOW_ACCURACY(), say_share(shadow["accuracy"]), border=True)
    figures.metric(texts.ACCURACY(), say_share(live["accuracy"]), border=True)
    if shadow["count"]:
        counts = {"count": texts.number(shadow["count"]), "live_count": texts.number(live["count"])}
        st.caption(texts.SHADOW_COUNTS(**counts))
    if shadow["skipped"]:
        st.caption(texts.SHADOW_SKIPPED(count=texts.number(shadow["skipped"])))
