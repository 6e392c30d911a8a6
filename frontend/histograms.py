"""Draws the rows of the training table by feature and class."""

import html
from collections.abc import Sequence
from typing import Any

import streamlit as st

import texts
from drawing import (
    AXIS_HEIGHT,
    MOST_BARS,
    MOST_COLOURS,
    Spec,
    colours_of,
    draw_rule,
    find_colours,
    ink,
    name_others,
    nominal,
    pick_largest,
    quantity,
    row_names,
)

HEIGHT = 190  # pixels, as below
ROW_HEIGHT = 20
MOST_DIGITS = 16

Counts = tuple[int, int]  # rows of the training table, and rows asked

_COUNT_AXIS = {"tickCount": 3, "tickMinStep": 1}


def pick_classes(classes: Sequence[str], probabilities: dict[str, float] | None) -> list[str]:
    """Those that get a colour of their own: all, or of many the most probable."""
    if len(classes) <= MOST_COLOURS:
        return list(classes)
    return pick_largest(classes, lambda name: (probabilities or {}).get(name, 0), MOST_COLOURS - 1)


def show_legend(every: Sequence[str], classes: Sequence[str]) -> None:
    """The colours of the classes, for several histograms at once."""
    names = [*classes, *([name_others(every)] if len(classes) < len(every) else [])]
    entries = (
        f'<span><span aria-hidden="true" style="color:{shade}">■</span> {html.escape(name)}</span>'
        for name, shade in zip(names, find_colours(names), strict=True)
    )
    st.html(f'<div style="display:flex;flex-wrap:wrap;gap:.25rem 1rem">{"".join(entries)}</div>')


def draw_histogram(feature: dict[str, Any], classes: Sequence[str], entered: Any) -> Spec:
    """Stacked by class, with a mark at the value entered.

    `classes` are those that have a colour of their own; all others are one.
    """
    counts = _count_by_class(feature, classes)
    if feature["type"] == "number":
        return _draw_numbers(feature, counts, entered)
    return _draw_values(feature, counts, entered)


def show_drift_legend() -> None:
    kinds = [texts.TRAINED(), texts.ANSWERED()]
    show_legend(kinds, kinds)


def draw_drift(feature: dict[str, Any], observed: Sequence[int], rows: int) -> Spec:
    """Shares of the training table and of `rows` that were asked, in the same bins.

    Those asked may be more than are in the bins, which then have less than all of them.
    """
    trained = [sum(column) for column in zip(*feature["histogram"]["counts"].values(), strict=True)]
    bins = dict(zip(_name_bins(feature), zip(trained, observed, strict=True), strict=True))
    totals = sum(trained), rows
    if feature["type"] == "number":
        return _draw_beside(texts.label(feature), bins, totals, "≥")
    return _draw_beside(texts.label(feature), _gather_rest(bins, totals), totals)


def draw_class_drift(trained: dict[str, int], observed: dict[str, int]) -> Spec:
    """Shares of rows by class, of the training table and of what was answered."""
    bins = {name: (trained.get(name, 0), observed.get(name, 0)) for name in trained | observed}
    totals = sum(trained.values()), sum(observed.values())
    return _draw_beside(texts.CLASS(), _gather_rest(bins, totals), totals)


def count_trained(manifest: dict[str, Any]) -> dict[str, int]:
    """Rows of the training table by class, which every histogram has."""
    histogram = manifest["features"][0].get("histogram") or {"counts": {}}
    missing = histogram.get("missing", {})
    return {
        name: sum(counts) + missing.get(name, 0) for name, counts in histogram["counts"].items()
    }


def _gather_rest(bins: dict[str, Counts], totals: Counts) -> dict[str, Counts]:
    """Of many the largest, and all others as one."""
    if len(bins) <= MOST_BARS:
        return bins
    kept = pick_largest(bins, lambda name: max(map(_divide, bins[name], totals)), MOST_BARS - 1)
    shown = {name: bins[name] for name in kept}
    rest = [pair for name, pair in bins.items() if name not in shown]
    added = sum(trained for trained, _ in rest), sum(observed for _, observed in rest)
    return shown | {texts.OTHER_CLASSES(count=len(rest)): added}


def _divide(count: int, total: int) -> float:
    return count / max(total, 1)


def _draw_beside(title: str, bins: dict[str, Counts], totals: Counts, told: str = "") -> Spec:
    """Counts as shares of their totals; `told` is what a bin's name is."""
    kinds = [texts.TRAINED(), texts.ANSWERED()]
    rows = [
        {"bin": name, "of": kind, "rows": count, "share": _divide(count, total)}
        for name, pair in bins.items()
        for kind, count, total in zip(kinds, pair, totals, strict=True)
    ]
    axis = {"labelOverlap": True, "labelLimit": 80, "labelAngle": 0}
    percent = {"format": "%", "tickCount": 3}
    part = quantity("share", title=texts.SHARE_OF_ROWS(), format=".1%")
    return {
        "data": {"values": rows},
        "height": HEIGHT,
        "mark": {"type": "bar", "opacity": 0.75},
        "encoding": {
            "x": nominal("bin", sort=None, title=title, axis=axis),
            "xOffset": nominal("of", sort=None),
            "y": quantity("share", title=texts.SHARE_OF_ROWS(), axis=percent),
            "color": colours_of(kinds, "of") | {"legend": None},
            "tooltip": [
                nominal("bin", title=told or title),
                nominal("of"),
                part,
                quantity("rows", title=texts.ROWS()),
            ],
        },
    }


def _draw_numbers(feature: dict[str, Any], counts: dict[str, list[int]], entered: Any) -> Spec:
    edges = feature["histogram"]["edges"]
    rows = [
        {"from": edges[index], "to": edges[index + 1], "class": name, "rows": count}
        for name, column in counts.items()
        for index, count in enumerate(column)
        if count
    ]
    low, high = edges[0], edges[-1]
    marks = []
    if entered is not None:
        # Further out it would be all that can be seen.
        entered = min(max(entered, low - (high - low)), high + (high - low))
        low, high = min(low, entered), max(high, entered)
        marks = [draw_rule(entered, "quantitative")]
    x = quantity(
        "from",
        bin={"binned": True},
        title=texts.label(feature),
        scale={"domain": [low, high], "nice": False, "padding": 4, "zero": False},
        axis={"grid": False, "tickCount": 6},
    )
    y = quantity("rows", title=texts.ROWS(), stack="zero", axis=_COUNT_AXIS)
    told = [quantity("from", title="≥"), quantity("to", title="<")]
    bars = _draw_parts(counts, told, x=x, x2={"field": "to"}, y=y)
    bars["mark"] |= {"binSpacing": 0}
    return {"data": {"values": rows}, "height": HEIGHT, "layer": [bars, *marks]}


def _draw_values(feature: dict[str, Any], counts: dict[str, list[int]], entered: Any) -> Spec:
    values = [False, True] if feature["type"] == "boolean" else feature["values"]
    totals = [sum(column[index] for column in counts.values()) for index in range(len(values))]
    shown = _choose_values(values, totals, entered)
    rows = [
        {"value": texts.value(values[index]), "class": name, "rows": column[index]}
        for index in shown
        for name, column in counts.items()
    ]
    title = f"{texts.ROWS()} · {texts.label(feature)}"
    x = quantity("rows", title=title, stack="zero", axis={"grid": False, **_COUNT_AXIS})
    bars = _draw_parts(counts, [nominal("value", title=texts.label(feature))], x=x)
    marks = [
        _point_at(texts.value(values[index]), totals[index])
        for index in shown
        if values[index] == entered
    ]
    return {
        "data": {"values": rows},
        "height": max(HEIGHT, ROW_HEIGHT * len(shown) + AXIS_HEIGHT),
        "encoding": {"y": row_names("value")},
        "layer": [bars, *marks],
    }


def _draw_parts(counts: dict[str, list[int]], told: list[Spec], **channels: Spec) -> Spec:
    """Bars in parts of their class's colours, without a legend of their own."""
    rows = quantity("rows", title=texts.ROWS())
    tooltip = [*told, nominal("class", title=texts.CLASS()), rows]
    shades = colours_of(list(counts)) | {"legend": None}
    return {"mark": {"type": "bar"}, "encoding": {**channels, "color": shades, "tooltip": tooltip}}


def _point_at(value: str, rows: int) -> Spec:
    return {
        "data": {"values": [{"value": value, "rows": rows}]},
        "mark": {"type": "text", "text": "◀", "align": "left", "dx": 3, "color": ink()},
        "encoding": {"x": quantity("rows")},
    }


def _choose_values(values: Sequence[Any], totals: Sequence[int], entered: Any) -> list[int]:
    """Indices of the most frequent ones, the one entered among them."""
    indices = range(len(values))
    return pick_largest(indices, lambda at: (values[at] == entered, totals[at]), MOST_BARS)


def _count_by_class(feature: dict[str, Any], classes: Sequence[str]) -> dict[str, list[int]]:
    """Counts of the classes shown, and those of all others added up."""
    counts = feature["histogram"]["counts"]
    shown = {name: counts[name] for name in classes if name in counts}
    left = [column for name, column in counts.items() if name not in shown]
    if not left:
        return shown
    return shown | {name_others(counts): [sum(column) for column in zip(*left, strict=True)]}


def _name_bins(feature: dict[str, Any]) -> list[str]:
    if feature["type"] == "category":
        return list(feature["values"])
    if feature["type"] == "boolean":
        return [texts.value(False), texts.value(True)]
    return _write_edges(feature["histogram"]["edges"][:-1])


def _write_edges(edges: Sequence[float]) -> list[str]:
    """With as few digits as tell them apart."""
    for digits in range(4, MOST_DIGITS):
        said = [texts.value(float(f"{edge:.{digits}g}")) for edge in edges]
        if len(set(said)) == len(edges):
            break
    return said
