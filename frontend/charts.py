"""Draws what the backend answers."""

from collections.abc import Sequence
from typing import Any

import texts
from drawing import (
    AXIS_HEIGHT,
    GREY,
    MOST_BARS,
    MOST_COLOURS,
    PALETTE,
    Spec,
    choose,
    colour,
    draw_rule,
    ink,
    keep_most,
    name,
    name_rows,
    number,
    share,
    stack_rows,
    write,
)

PAIR_HEIGHT = 18  # pixels, as below
LEGEND_HEIGHT = 50
CURVE_HEIGHT = 260
TRAFFIC_HEIGHT = 220
CELL_HEIGHT = 34
CELL_LABEL_WIDTH = 110

_BAR = {"type": "bar", "cornerRadiusEnd": 3}
_SLANTED = {"labelAngle": -40}
_COUNTS = {"grid": False, "tickCount": 4, "tickMinStep": 1, "format": ",.0f"}


def draw_probabilities(probabilities: dict[str, float]) -> Spec:
    """A bar for each class, with its share written beside it.

    In the model's order; of many classes the most probable ones, and all others in one bar.
    """
    shown = keep_most(probabilities)
    winner = max(shown, key=shown.__getitem__)
    bars = {
        "mark": _BAR,
        "encoding": {
            "color": choose("class", winner, PALETTE[0], GREY),
            "tooltip": [name("class", title=texts.CLASS()), share()],
        },
    }
    x = number(
        "probability",
        title=texts.PROBABILITY(),
        scale={"domain": [0, 1.25]},  # with room for what is written beside a whole one
        axis={"format": "%", "grid": False, "values": [0, 0.25, 0.5, 0.75, 1]},
    )
    rows = [{"class": it, "probability": shown[it]} for it in shown]
    return stack_rows(rows, [bars, write("probability", ".1%")], x=x, y=name_rows("class"))


def draw_contributions(contributions: Sequence[tuple[str, float]]) -> Spec:
    """Of pairs (name, change of probability), bars to both sides, the longest first."""
    rows = [
        {"feature": it, "change": change, "side": "for" if change >= 0 else "against"}
        for it, change in contributions
    ]
    furthest = max([abs(change) for _, change in contributions] + [0.01])
    bars = {
        "mark": "bar",
        "encoding": {
            "color": choose("side", "for", PALETTE[0], PALETTE[1]),
            "tooltip": [name("feature"), number("change", format="+.2%", title=texts.CHANGE())],
        },
    }
    written = [
        write("change", "+.1%", align=align, transform=[{"filter": f"datum.side == '{side}'"}])
        for side, align in (("for", "left"), ("against", "right"))
    ]
    x = number(
        "change",
        title=texts.CHANGE(),
        scale={"domain": [-1.6 * furthest, 1.6 * furthest]},
        axis={"format": "+%", "tickCount": 5, "grid": False},
    )
    return stack_rows(rows, [bars, *written], x=x, y=name_rows("feature"))


def draw_curve(
    title: str, points: Sequence[Any], probabilities: dict[str, list[float | None]], at: int
) -> Spec:
    """The classes' probabilities over a feature's values, and a rule at the one chosen.

    `at` is the index of that point. Numbers are joined by lines; text is drawn in the order given.
    """
    shown = _find_highest(probabilities)
    rows = [
        {"x": point, "class": it, "probability": probabilities[it][index]}
        for it in shown
        for index, point in enumerate(points)
    ]
    is_text = isinstance(points[0], str)
    marks = _draw_points(title) if is_text else _draw_lines(title)
    marks["encoding"] |= {
        "y": number(
            "probability",
            title=texts.PROBABILITY(),
            scale={"domain": [0, 1]},
            axis={"format": "%", "tickCount": 5},
        ),
        "color": colour(shown),
        "tooltip": [marks["encoding"]["x"], name("class", title=texts.CLASS()), share()],
    }
    rule = draw_rule(points[at], marks["encoding"]["x"]["type"])
    return {"data": {"values": rows}, "height": CURVE_HEIGHT, "layer": [marks, rule]}


def draw_counts(counts: dict[str, int]) -> Spec:
    """A bar for each class with its number of rows."""
    rows = [{"class": it, "rows": count} for it, count in keep_most(counts).items()]
    most = max([row["rows"] for row in rows] + [1])
    x = number("rows", title=texts.ROWS(), scale={"domain": [0, 1.25 * most]}, axis=_COUNTS)
    bars = {"mark": {**_BAR, "color": PALETTE[0]}}
    return stack_rows(rows, [bars, write("rows", ",")], x=x, y=name_rows("class"))


def draw_pairs(shares: dict[str, dict[str, float]], title: str) -> Spec:
    """For each name two shares beside each other, by what they are shares of."""
    kinds = list(next(iter(shares.values())))
    rows = [
        {"name": it, "of": kind, "share": part}
        for it, by_kind in list(shares.items())[:MOST_BARS]
        for kind, part in by_kind.items()
    ]
    return {
        "data": {"values": rows},
        "height": PAIR_HEIGHT * len(rows) + AXIS_HEIGHT + LEGEND_HEIGHT,
        "mark": "bar",
        "encoding": {
            "y": name_rows("name"),
            "yOffset": name("of", sort=None),
            "x": number("share", title=title, axis={"grid": False, "format": "%", "tickCount": 5}),
            "color": colour(kinds, "of"),
            "tooltip": [name("name"), name("of"), number("share", format=".1%")],
        },
    }


def draw_metric(title: str, versions: Sequence[tuple[str, float, float | None]]) -> Spec:
    """Of triples (version, mean, standard error), a point each with its error to both sides."""
    rows = [
        {"version": it, "mean": mean, "low": mean - (error or 0), "high": mean + (error or 0)}
        for it, mean, error in versions
    ]
    errors = {
        "mark": {"type": "rule", "strokeWidth": 2, "color": GREY},
        "encoding": {"x": number("low", title=title), "x2": {"field": "high"}},
    }
    means = {
        "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1, "color": PALETTE[0]},
        "encoding": {"x": number("mean")},
    }
    tooltip = [name("version", title=texts.VERSION())]
    tooltip += [number(field, format=".4f") for field in ("mean", "low", "high")]
    x = {"scale": {"zero": False, "padding": 12}}
    chart = stack_rows(rows, [errors, means], x=x, y=name_rows("version"))
    return chart | {"encoding": chart["encoding"] | {"tooltip": tooltip}}


def draw_traffic(points: Sequence[tuple[str, float]]) -> Spec:
    """Of pairs (ISO time, requests per second), a line."""
    rows = [{"time": time, "rate": rate} for time, rate in points]
    highest = max([rate for _, rate in points] + [1])
    axis = {"format": "%H:%M:%S", "tickCount": 6, "grid": False}
    y = number("rate", title=texts.TRAFFIC(), scale={"domain": [0, 1.1 * highest]})
    return {
        "data": {"values": rows},
        "height": TRAFFIC_HEIGHT,
        "mark": {"type": "line", "color": PALETTE[0], "strokeWidth": 2.5, "point": len(rows) == 1},
        "encoding": {
            "x": {"field": "time", "type": "temporal", "title": None, "axis": axis},
            "y": y | {"axis": {"tickCount": 4}},
        },
    }


def draw_confusion(confusion: dict[str, dict[str, int]], classes: Sequence[str]) -> Spec:
    """Rows by the class that was right, downwards, and the one predicted, across."""
    rows = [
        {"right": right, "predicted": it, "rows": count, "share": count / sum(by_class.values())}
        for right, by_class in confusion.items()
        for it, count in by_class.items()
    ]
    scale = {"domain": list(classes)}
    axis = {"labelLimit": CELL_LABEL_WIDTH, "ticks": False, "domain": False}
    right = name("right", title=texts.RIGHT(), scale=scale, axis=axis)
    predicted = name("predicted", title=texts.PREDICTED(), scale=scale, axis=axis | _SLANTED)
    told = [
        name("right", title=texts.RIGHT()),
        name("predicted", title=texts.PREDICTED()),
        number("rows", title=texts.ROWS(), format=","),
        number("share", title=texts.SHARE_OF_ROWS(), format=".1%"),
    ]
    return {
        "data": {"values": rows},
        "height": CELL_HEIGHT * len(classes) + AXIS_HEIGHT + CELL_LABEL_WIDTH // 2,
        "encoding": {"x": predicted, "y": right, "tooltip": told},
        "layer": _draw_cells(),
    }


def draw_calibration(bins: Sequence[dict[str, float]]) -> Spec:
    """Of bins of probability, how often their answers were right, against the diagonal."""
    axis = {"format": "%", "values": [0, 0.25, 0.5, 0.75, 1]}
    axes = {"scale": {"domain": [0, 1]}, "axis": axis}
    diagonal = {
        "data": {"values": [{"probability": end, "accuracy": end} for end in (0, 1)]},
        "mark": {"type": "line", "color": GREY, "strokeDash": [5, 5], "aria": False},
    }
    line = {"mark": {"type": "line", "color": PALETTE[0], "aria": False}}
    return {
        "data": {"values": list(bins)},
        "height": CURVE_HEIGHT,
        "encoding": {
            "x": number("probability", title=texts.PROBABILITY(), **axes),
            "y": number("accuracy", title=texts.ACCURACY_SHARE(), **axes),
        },
        "layer": [diagonal, line, _draw_bins()],
    }


def _find_highest(probabilities: dict[str, list[float | None]]) -> list[str]:
    """The classes that are the most probable ones somewhere, as many as have a colour."""
    peaks = {it: max(part or 0 for part in column) for it, column in probabilities.items()}
    kept = sorted(peaks, key=lambda it: -peaks[it])[:MOST_COLOURS]
    return [it for it in probabilities if it in kept]


def _draw_lines(title: str) -> Spec:
    """In dashes of their own, so that they can be told apart without colours too."""
    axis = {"grid": False, "tickCount": 6}
    x = number("x", title=title, scale={"zero": False, "nice": False}, axis=axis)
    dashes = name("class", sort=None, legend=None)
    mark = {"type": "line", "strokeWidth": 2.5}
    return {"mark": mark, "encoding": {"x": x, "strokeDash": dashes}}


def _draw_points(title: str) -> Spec:
    mark = {"type": "point", "filled": True, "size": 90}
    return {"mark": mark, "encoding": {"x": name("x", title=title, sort=None)}}


def _draw_cells() -> list[Spec]:
    """In one colour where right and predicted are the same, in another elsewhere."""
    is_right = {"test": "datum.right === datum.predicted", "value": PALETTE[0]}
    # Never so strong that the figure on it could not be read.
    strength = {"domain": [0, 1], "range": [0.1, 0.65]}
    colours = {
        "color": {"condition": is_right, "value": PALETTE[1]},
        "opacity": number(
            "share", title=texts.SHARE_OF_ROWS(), format=".1%", scale=strength, legend=None
        ),
    }
    figure = {"type": "text", "color": ink(), "aria": False}
    return [
        {"mark": "rect", "encoding": colours},
        {"mark": figure, "encoding": {"text": number("rows", format=",")}},
    ]


def _draw_bins() -> Spec:
    """Points, the larger the more rows they are of."""
    sizes = {"domainMin": 0, "range": [40, 240]}
    told = [
        number("from", title="≥", format=".0%"),
        number("to", title="≤", format=".0%"),
        number("count", title=texts.ROWS(), format=","),
        number("probability", title=texts.PROBABILITY(), format=".1%"),
        number("accuracy", title=texts.ACCURACY_SHARE(), format=".1%"),
    ]
    return {
        "mark": {"type": "point", "filled": True, "opacity": 1, "color": PALETTE[0]},
        "encoding": {
            "size": number("count", title=texts.ROWS(), scale=sizes, legend=None),
            "tooltip": told,
        },
    }
