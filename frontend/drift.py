"""Shows how far what is asked has moved from the training table."""

from typing import Any

import streamlit as st

import histograms
import texts
from client import Json
from drawing import show_chart

DRAWN = 12  # features; more are listed
NAMED = 6  # in the warning
KEY = "drift window"
DAY = "day"
ICONS = {  # the gravest first
    "shifted": ":red[:material/error:]",
    "moderate": ":orange[:material/warning:]",
    "stable": ":green[:material/check_circle:]",
    "unknown": ":material/help:",
}


def warn_of_shift(drift: Json, manifest: Json) -> None:
    window = _find_window(drift)
    named = _pair_features(manifest, window)
    names = [texts.label(feature) for feature, found in named if found["verdict"] == "shifted"]
    if window["classes"]["verdict"] == "shifted":
        names.append(texts.CLASS_SHARES())
    if names:
        said = texts.plain(texts.list_some(names, NAMED))
        window_name = texts.WINDOWS[window["window"]]()
        st.warning(texts.SHIFTED(window=window_name, names=said), icon=":material/error:")


def show_drift(drift: Json, manifest: Json) -> None:
    st.segmented_control(
        texts.WINDOW(),
        list(texts.WINDOWS),
        format_func=lambda name: texts.WINDOWS[name](),
        required=True,
        key=KEY,
        label_visibility="collapsed",
        persist_state="session",
    )
    window = _find_window(drift)
    if not window["rows"]:
        st.caption(texts.NO_ROWS())
        return
    rows = texts.number(window["rows"])
    st.caption(texts.DRIFT_CAPTION(rows=rows))
    if window["rows"] < drift["min_rows"]:
        least = texts.number(drift["min_rows"])
        st.info(texts.TOO_FEW_ROWS(rows=rows, least=least), icon=ICONS["unknown"])
    _show_window(window, manifest)


def _find_window(drift: Json) -> Json:
    """The one chosen by a control that may be drawn only later."""
    chosen = st.session_state.setdefault(KEY, DAY)
    window: Json = next(found for found in drift["windows"] if found["window"] == chosen)
    return window


def _show_window(window: Json, manifest: Json) -> None:
    ranked = _pair_features(manifest, window)
    drawn = [pair for pair in ranked if _can_be_drawn(*pair)][:DRAWN]
    listed = [pair for pair in ranked if pair not in drawn]
    histograms.show_drift_legend()
    grid = st.grid(3, min_column_width=260, gap="medium")
    with grid.cell():
        found, trained = window["classes"], histograms.count_trained(manifest)
        st.markdown(_say_verdict(texts.CLASS_SHARES(), found))
        show_chart(histograms.draw_class_drift(trained, found["observed"]), texts.CLASS_DRIFT())
    for feature, found in drawn:
        with grid.cell():
            _show_feature(feature, found, window["rows"])
    if listed:
        _list_features(listed)


def _pair_features(manifest: Json, window: Json) -> list[tuple[Json, Json]]:
    """Each with what was found of it, the most shifted first."""
    known = {feature["name"]: feature for feature in manifest["features"]}
    # The manifest may be that of the model before, until the page has looked again.
    pairs = [
        (known.get(found["feature"], {"name": found["feature"]}), found)
        for found in window["features"]
    ]
    return sorted(pairs, key=lambda pair: _grade(pair[1]))


def _grade(found: Json) -> tuple[int, float, float]:
    shares = max(found[kind] or 0 for kind in texts.SHARES)
    return list(ICONS).index(found["verdict"]), -(found["psi"] or 0), -shares


def _can_be_drawn(feature: Json, found: Json) -> bool:
    histogram = feature.get("histogram")
    trained = next(iter(histogram["counts"].values())) if histogram else []
    return 0 < len(trained) == len(found["observed"]["counts"])


def _show_feature(feature: Json, found: Json, rows: int) -> None:
    label = texts.label(feature)
    st.markdown(_say_verdict(label, found))
    shares = [
        f"{texts.percent(found[kind])} {said()}"
        for kind, said in texts.SHARES.items()
        if found[kind]
    ]
    if shares:
        st.caption(" · ".join(shares))
    present = round(rows * (1 - (found["missing"] or 0)))
    spec = histograms.draw_drift(feature, found["observed"]["counts"], present)
    show_chart(spec, texts.DRIFT_OF(feature=label))


def _say_verdict(name: str, found: Json) -> str:
    psi = "" if found["psi"] is None else f" · PSI {texts.number(found['psi'], 2)}"
    verdict = found["verdict"]
    return f"{ICONS[verdict]} **{texts.plain(name)}**: {texts.VERDICTS[verdict]()}{psi}"


def _list_features(listed: list[tuple[Json, Json]]) -> None:
    st.caption(texts.MORE_DRIFT())
    percent = st.column_config.NumberColumn(format="percent")
    st.dataframe(
        [_tabulate_feature(feature, found) for feature, found in listed],
        hide_index=True,
        alt=texts.MORE_DRIFT(),
        column_config={said(): percent for said in texts.SHARES.values()},
    )


def _tabulate_feature(feature: Json, found: Json) -> dict[str, Any]:
    return {
        texts.FEATURE(): texts.label(feature),
        texts.VERDICT(): texts.VERDICTS[found["verdict"]](),
        "PSI": found["psi"],
        **{said(): found[kind] for kind, said in texts.SHARES.items()},
    }
