"""Draws what the backend answers, as specifications of Vega-Lite."""

import html
import json
from collections.abc import Sequence
from typing import Any

import streamlit as st

import texts

Spec = dict[str, Any]

# Okabe and Ito, Color Universal Design (2008): told apart with every kind of colour blindness.
PALETTE = ("#0077bb", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
GREY = "#8a8f9d"  # for all others; readable on light and on dark
MOST_COLOURS = len(PALETTE)
MOST_BARS = 12
BAR_HEIGHT = 30  # pixels, as below
AXIS_HEIGHT = 66
LABEL_WIDTH = 180
SMALL_HEIGHT = 190

_PERCENT = {"format": "%", "tickCount": 3}
_FRENCH = {
    "number": {
        "decimal": ",",
        "thousands": "\u202f",
        "grouping": [3],
        "currency": ["", "\u202f€"],
        "percent": "\u202f%",
    }
}


def show(spec: Spec, description: str) -> None:
    """The description is what a screen reader says."""
    locale = {"locale": _FRENCH} if texts.language() == "fr" else {}
    st.vega_lite_chart({**spec, "config": locale}, alt=description)


def draw_probabilities(probabilities: dict[str, float]) -> Spec:
    """A bar for each class, with its share written beside it.

    In the model's order; of many classes the most probable ones, and all others in one bar.
    """
    shown = _most(probabilities)
    rows = [{"class": name, "probability": shown[name]} for name in shown]
    winner = max(shown, key=shown.__getitem__)
    bars = {
        "mark": {"type": "bar", "cornerRadiusEnd": 3},
        "encoding": {
            "color": _choose(f"datum['class'] == {json.dumps(winner)}", PALETTE[0], GREY),
            "tooltip": [_tooltip("class", texts.CLASS()), _share("probability")],
        },
    }
    written = {
        "mark": {"type": "text", "align": "left", "dx": 5, "color": _ink()},
        "encoding": {"text": {"field": "probability", "type": "quantitative", "format": ".1%"}},
    }
    scale = {"domain": [0, 1.25]}  # with room for what is written beside a whole one
    axis = {"format": "%", "grid": False, "values": [0, 0.25, 0.5, 0.75, 1]}
    return {
        "data": {"values": rows},
        "height": BAR_HEIGHT * len(rows) + AXIS_HEIGHT,
        "encoding": {
            "y": _names("class"),
            "x": _number("probability", title=texts.PROBABILITY(), scale=scale, axis=axis),
        },
        "layer": [bars, written],
    }


def draw_contributions(contributions: Sequence[tuple[str, float]]) -> Spec:
    """Of pairs (name, change of probability), bars to both sides, the longest first."""
    rows = [{"feature": name, "change": change} for name, change in contributions]
    furthest = max([abs(change) for _, change in contributions] + [0.01])
    axis = {"format": "+%", "tickCount": 5, "grid": False}
    scale = {"domain": [-1.6 * furthest, 1.6 * furthest]}
    written = [
        {
            "mark": {"type": "text", "align": align, "dx": offset, "color": _ink()},
            "transform": [{"filter": f"datum.change {test} 0"}],
            "encoding": {"text": {"field": "change", "type": "quantitative", "format": "+.1%"}},
        }
        for align, offset, test in (("left", 5, ">="), ("right", -5, "<"))
    ]
    bars = {
        "mark": {"type": "bar"},
        "encoding": {
            "color": _choose("datum.change >= 0", PALETTE[0], PALETTE[1]),
            "tooltip": [_tooltip("feature", ""), _share("change", "+.2%")],
        },
    }
    return {
        "data": {"values": rows},
        "height": BAR_HEIGHT * len(rows) + AXIS_HEIGHT,
        "encoding": {
            "y": _names("feature"),
            "x": _number("change", title=texts.CHANGE(), scale=scale, axis=axis),
        },
        "layer": [bars, *written],
    }


def draw_curve(
    title: str, points: Sequence[Any], probabilities: dict[str, list[float]], at: int
) -> Spec:
    """A line for each class over a feature's values, and a rule at the one chosen.

    `at` is the index of that point. What is no number is drawn as points in the order given.
    """
    peaks = {name: max(shares) for name, shares in probabilities.items()}
    names = _most(peaks, MOST_COLOURS, rest=False)
    is_number = not isinstance(points[0], str)
    rows = [
        {"x": point, "class": name, "probability": probabilities[name][index]}
        for name in names
        for index, point in enumerate(points)
    ]
    kind = "quantitative" if is_number else "nominal"
    scale = {"scale": {"zero": False, "nice": False}} if is_number else {"sort": None}
    axis = {"axis": {"grid": False, "tickCount": 6}} if is_number else {}
    x = {"field": "x", "type": kind, "title": title, **scale, **axis}
    # In dashes of their own, so that lines can be told apart without colours too.
    dashes = {"strokeDash": {"field": "class", "type": "nominal", "sort": None, "legend": None}}
    lines = {
        "mark": {"type": "line", "strokeWidth": 2.5}
        if is_number
        else {"type": "point", "filled": True, "size": 90},
        "encoding": {
            "x": x,
            "y": _number("probability", title=texts.PROBABILITY(), **_whole()),
            "color": _colours(list(names)),
            **(dashes if is_number else {}),
            "tooltip": [
                {"field": "x", "type": kind, "title": title},
                _tooltip("class", texts.CLASS()),
                _share("probability"),
            ],
        },
    }
    return {
        "data": {"values": rows},
        "height": 260,
        "layer": [lines, _rule(points[at], kind)],
    }


def show_legend(names: Sequence[str]) -> None:
    """The colours of classes, for several charts at once."""
    entries = (
        f'<span><span aria-hidden="true" style="color:{colour}">■</span> {html.escape(name)}</span>'
        for name, colour in zip(names, _find_colours(names), strict=True)
    )
    st.html(f'<div style="display:flex;flex-wrap:wrap;gap:.25rem 1rem">{"".join(entries)}</div>')


def draw_drift(feature: dict[str, Any], observed: Sequence[int]) -> Spec:
    """Shares of the training table and of what was asked, in the same bins."""
    trained = [sum(column) for column in zip(*feature["histogram"]["counts"].values(), strict=True)]
    bins = _name_bins(feature)
    rows = [
        {"bin": name, "of": kind, "share": count / max(sum(counts), 1), "order": index}
        for kind, counts in ((texts.TRAINED(), trained), (texts.ANSWERED(), observed))
        for index, (name, count) in enumerate(zip(bins, counts, strict=True))
    ]
    x = {
        "field": "bin",
        "type": "nominal",
        "sort": None,
        "title": texts.label(feature),
        "axis": {"labelOverlap": True, "labelLimit": 80, "labelAngle": 0},
    }
    return {
        "data": {"values": rows},
        "height": SMALL_HEIGHT,
        "mark": {"type": "bar", "opacity": 0.75},
        "encoding": {
            "x": x,
            "xOffset": {"field": "of", "type": "nominal", "sort": None},
            "y": _number(
                "share", title=texts.SHARE_OF_ROWS(), axis={"format": "%", "tickCount": 3}
            ),
            "color": _colours([texts.TRAINED(), texts.ANSWERED()], "of"),
        },
    }


def draw_histogram(feature: dict[str, Any], classes: Sequence[str], entered: Any) -> Spec:
    """Training rows by the feature and class, stacked, with a mark at the value entered.

    `classes` are those that have a colour of their own; all others are one.
    """
    if feature["type"] == "number":
        return _draw_bins(feature, classes, entered)
    return _draw_values(feature, classes, entered)


def draw_counts(counts: dict[str, int]) -> Spec:
    """A bar for each class with its number of rows."""
    rows = [{"class": name, "rows": count} for name, count in _most(counts).items()]
    written = {
        "mark": {"type": "text", "align": "left", "dx": 5, "color": _ink()},
        "encoding": {"text": {"field": "rows", "type": "quantitative", "format": ","}},
    }
    most = max(row["rows"] for row in rows)
    return {
        "data": {"values": rows},
        "height": BAR_HEIGHT * len(rows) + AXIS_HEIGHT,
        "encoding": {
            "y": _names("class"),
            "x": _number(
                "rows",
                title=texts.ROWS(),
                scale={"domain": [0, 1.15 * max(most, 1)]},
                axis={"grid": False, "tickCount": 4, "format": ",.0f", "tickMinStep": 1},
            ),
        },
        "layer": [{"mark": {"type": "bar", "color": PALETTE[0], "cornerRadiusEnd": 3}}, written],
    }


def draw_pairs(shares: dict[str, dict[str, float]], title: str, percent: bool = True) -> Spec:
    """For each name two or more shares beside each other, by what they are shares of."""
    kinds = list(next(iter(shares.values())))
    rows = [
        {"name": name, "of": kind, "share": share}
        for name, by_kind in list(shares.items())[:MOST_BARS]
        for kind, share in by_kind.items()
    ]
    axis = {"grid": False, "tickCount": 5} | ({"format": "%"} if percent else {})
    return {
        "data": {"values": rows},
        "height": 18 * len(rows) + AXIS_HEIGHT + 50,
        "mark": "bar",
        "encoding": {
            "y": _names("name"),
            "yOffset": {"field": "of", "type": "nominal", "sort": None},
            "x": _number("share", title=title, axis=axis),
            "color": _colours(kinds, "of"),
            "tooltip": [
                _tooltip("name", ""),
                _tooltip("of", ""),
                {"field": "share", "type": "quantitative", "format": ".1%" if percent else ""},
            ],
        },
    }


def draw_metric(title: str, versions: Sequence[tuple[str, float, float | None]]) -> Spec:
    """Of triples (version, mean, standard error), a point each with its error to both sides."""
    rows = [
        {"version": version, "mean": mean, "low": mean - (error or 0), "high": mean + (error or 0)}
        for version, mean, error in versions
    ]
    tooltip = [_tooltip("version", texts.VERSION())] + [
        _number(name, format=".4f") for name in ("mean", "low", "high")
    ]
    errors = {
        "mark": {"type": "rule", "strokeWidth": 2, "color": GREY},
        "encoding": {"x": _number("low", title=title), "x2": {"field": "high"}},
    }
    means = {
        "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1, "color": PALETTE[0]},
        "encoding": {"x": _number("mean")},
    }
    y = _names("version")
    return {
        "data": {"values": rows},
        "height": BAR_HEIGHT * len(rows) + AXIS_HEIGHT,
        "encoding": {"y": y, "x": {"scale": {"zero": False, "padding": 12}}, "tooltip": tooltip},
        "layer": [errors, means],
    }


def draw_traffic(points: Sequence[tuple[str, float]]) -> Spec:
    """Of pairs (ISO time, requests per second), a line."""
    rows = [{"time": time, "rate": rate} for time, rate in points]
    highest = max([rate for _, rate in points] + [1])
    return {
        "data": {"values": rows},
        "height": 220,
        "mark": {"type": "line", "color": PALETTE[0], "strokeWidth": 2.5, "point": len(rows) == 1},
        "encoding": {
            "x": {
                "field": "time",
                "type": "temporal",
                "title": None,
                "axis": {"format": "%H:%M:%S", "tickCount": 6, "grid": False},
            },
            "y": _number(
                "rate",
                title=texts.TRAFFIC(),
                scale={"domain": [0, 1.1 * highest]},
                axis={"tickCount": 4},
            ),
        },
    }


def name_shown(manifest: dict[str, Any], classes: Sequence[str]) -> list[str]:
    """The classes with a colour of their own, and what all others are called."""
    every = manifest["target"]["classes"]
    return list(classes) if len(classes) == len(every) else [*classes, _others(every)]


def name_classes(classes: Sequence[str], probabilities: dict[str, float] | None) -> list[str]:
    """Those that get a colour of their own: all, or of many the most probable."""
    if len(classes) <= MOST_COLOURS:
        return list(classes)
    ranked = sorted(classes, key=lambda name: -(probabilities or {}).get(name, 0))
    kept = set(ranked[: MOST_COLOURS - 1])
    return [name for name in classes if name in kept]


def _draw_bins(feature: dict[str, Any], classes: Sequence[str], entered: float | None) -> Spec:
    edges = feature["histogram"]["edges"]
    rows = [
        {"from": edges[index], "to": edges[index + 1], "class": name, "rows": count}
        for name, counts in _by_class(feature, classes).items()
        for index, count in enumerate(counts)
        if count
    ]
    low, high = edges[0], edges[-1]
    marks = []
    if entered is not None:
        # Further out it would be all that can be seen.
        entered = min(max(entered, low - (high - low)), high + (high - low))
        low, high = min(low, entered), max(high, entered)
        marks = [_rule(entered, "quantitative")]
    x = {
        "field": "from",
        "type": "quantitative",
        "bin": {"binned": True},
        "title": texts.label(feature),
        "scale": {"domain": [low, high], "nice": False, "padding": 4, "zero": False},
        "axis": {"grid": False, "tickCount": 6},
    }
    bars = {
        "mark": {"type": "bar", "binSpacing": 0},
        "encoding": {
            "x": x,
            "x2": {"field": "to"},
            "y": _number(
                "rows", title=texts.ROWS(), stack="zero", axis={"tickCount": 3, "tickMinStep": 1}
            ),
            **_stacked(classes, feature),
            "tooltip": [
                {"field": "from", "type": "quantitative", "title": "≥"},
                {"field": "to", "type": "quantitative", "title": "<"},
                _tooltip("class", texts.CLASS()),
                {"field": "rows", "type": "quantitative", "title": texts.ROWS()},
            ],
        },
    }
    return {"data": {"values": rows}, "height": SMALL_HEIGHT, "layer": [bars, *marks]}


def _draw_values(feature: dict[str, Any], classes: Sequence[str], entered: Any) -> Spec:
    values = [False, True] if feature["type"] == "boolean" else feature["values"]
    by_class = _by_class(feature, classes)
    totals = [sum(counts[index] for counts in by_class.values()) for index in range(len(values))]
    ranked = sorted(
        range(len(values)), key=lambda index: (values[index] != entered, -totals[index])
    )
    shown = sorted(ranked[:MOST_BARS])
    rows = [
        {"value": texts.value(values[index]), "class": name, "rows": counts[index]}
        for index in shown
        for name, counts in by_class.items()
    ]
    bars = {
        "mark": {"type": "bar"},
        "encoding": {
            "x": _number(
                "rows",
                title=f"{texts.ROWS()} · {texts.label(feature)}",
                stack="zero",
                axis={"grid": False, "tickCount": 4, "tickMinStep": 1},
            ),
            **_stacked(classes, feature),
            "tooltip": [
                _tooltip("value", texts.label(feature)),
                _tooltip("class", texts.CLASS()),
                {"field": "rows", "type": "quantitative", "title": texts.ROWS()},
            ],
        },
    }
    pointed = [
        {"value": texts.value(values[index]), "rows": totals[index]}
        for index in shown
        if values[index] == entered
    ]
    mark = {
        "data": {"values": pointed},
        "mark": {"type": "text", "text": "◀", "align": "left", "dx": 3, "color": _ink()},
        "encoding": {"x": _number("rows")},
    }
    height = max(SMALL_HEIGHT, 20 * len(shown) + AXIS_HEIGHT)
    return {
        "data": {"values": rows},
        "height": height,
        "encoding": {"y": _names("value")},
        "layer": [bars, *([mark] if pointed else [])],
    }


def _name_bins(feature: dict[str, Any]) -> list[str]:
    if feature["type"] == "category":
        return list(feature["values"])
    if feature["type"] == "boolean":
        return [texts.value(False), texts.value(True)]
    return [texts.value(float(f"{edge:.4g}")) for edge in feature["histogram"]["edges"][:-1]]


def _by_class(feature: dict[str, Any], classes: Sequence[str]) -> dict[str, list[int]]:
    """Counts of the classes shown, and those of all others added up."""
    counts = feature["histogram"]["counts"]
    shown = {name: counts[name] for name in classes if name in counts}
    left = [row for name, row in counts.items() if name not in shown]
    others = {_others(counts): [sum(column) for column in zip(*left, strict=True)]} if left else {}
    return {**shown, **others}


def _others(names: Any) -> str:
    """A name for all others that is no class's own."""
    said = texts.OTHERS()
    while said in names:
        said = f"({said})"
    return said


def _stacked(classes: Sequence[str], feature: dict[str, Any]) -> Spec:
    """Colour and order of the parts of a bar, in the order of the classes."""
    colours = _colours(list(_by_class(feature, classes)))
    return {"color": colours | {"legend": None}}


def _most(values: dict[str, Any], most: int = MOST_BARS, *, rest: bool = True) -> dict[str, Any]:
    """In the order given, the `most` largest values, and the sum of the rest under one name."""
    if len(values) <= most:
        return values
    kept = set(sorted(values, key=lambda name: -values[name])[: most - 1])
    shown = {name: value for name, value in values.items() if name in kept}
    if not rest:
        return shown
    count = len(values) - len(shown)
    return shown | {texts.OTHER_CLASSES(count=count): sum(values.values()) - sum(shown.values())}


def _colours(names: Sequence[str], field: str = "class") -> Spec:
    return {
        "field": field,
        "type": "nominal",
        "sort": None,
        "title": None,
        "scale": {"domain": list(names), "range": _find_colours(names)},
        "legend": {"orient": "top", "labelLimit": LABEL_WIDTH, "columns": 3},
    }


def _find_colours(names: Sequence[str]) -> list[str]:
    """Grey for what stands for all others."""
    has_others = bool(names) and names[-1] == _others(names[:-1])
    own = len(names) - has_others
    return [*PALETTE[:own], *[GREY] * (len(names) - min(own, MOST_COLOURS))]


def _rule(at: Any, kind: str) -> Spec:
    return {
        "data": {"values": [{"x": at}]},
        "mark": {"type": "rule", "strokeWidth": 2, "color": _ink()},
        "encoding": {"x": {"field": "x", "type": kind}},
    }


def _choose(test: str, then: str, otherwise: str) -> Spec:
    return {"condition": {"test": test, "value": then}, "value": otherwise}


def _names(field: str) -> Spec:
    axis = {"labelLimit": LABEL_WIDTH, "ticks": False, "domain": False}
    return {"field": field, "type": "nominal", "sort": None, "title": None, "axis": axis}


def _number(field: str, **options: Any) -> Spec:
    return {"field": field, "type": "quantitative", **options}


def _whole() -> Spec:
    return {"scale": {"domain": [0, 1]}, "axis": {"format": "%", "tickCount": 5}}


def _tooltip(field: str, title: str) -> Spec:
    return {"field": field, "type": "nominal", **({"title": title} if title else {})}


def _share(field: str, digits: str = ".2%") -> Spec:
    return _number(field, title=texts.PROBABILITY(), format=digits)


def _ink() -> str:
    """The colour of text, on the theme the reader has."""
    return "#fafafa" if st.context.theme.type == "dark" else "#31333f"
