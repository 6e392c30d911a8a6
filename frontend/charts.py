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
    choose_colour,
    class_share,
    colours_of,
    draw_rule,
    ink,
    keep_most,
    label_bars,
    nominal,
    pick_largest,
    quantity,
    row_names,
    stack_rows,
)

PAIR_HEIGHT = 18  # pixels, as below
LEGEND_HEIGHT = 50
CURVE_HEIGHT = 260
TRAFFIC_HEIGHT = 220
CELL_HEIGHT = 34
CELL_LABEL_WIDTH = 110

_BAR = {"type": "bar", "cornerRadiusEnd": 3}
_SLANTED = {"labelAngle": -40}
_COUNT_AXIS = {"grid": False, "tickCount": 4, "tickMinStep": 1, "format": ",.0f"}


def draw_probabilities(probabilities: dict[str, float]) -> Spec:
    """A bar for each class, with its share written beside it.

    In the model's order; of many classes the most probable ones, and all others in one bar.
    """
    shown = keep_most(probabilities)
    winner = max(shown, key=shown.__getitem__)
    bars = {
        "mark": _BAR,
        "encoding": {
            "color": choose_colour("class", winner, PALETTE[0], GREY),
            "tooltip": [nominal("class", title=texts.CLASS()), class_share()],
        },
    }
    x = quantity(
        "probability",
        title=texts.PROBABILITY(),
        scale={"domain": [0, 1.25]},  # with room for what is written beside a whole one
        axis={"format": "%", "grid": False, "values": [0, 0.25, 0.5, 0.75, 1]},
    )
    rows = [{"class": name, "probability": share} for name, share in shown.items()]
    return stack_rows(rows, [bars, label_bars("probability", ".1%")], x=x, y=row_names("class"))


def draw_contributions(contributions: Sequence[tuple[str, float]]) -> Spec:
    """Of pairs (name, change of probability), bars to both sides, the longest first."""
    rows = [
        {"feature": name, "change": change, "side": "for" if change >= 0 else "against"}
        for name, change in contributions
    ]
    furthest = max([abs(change) for _, change in contributions] + [0.01])
    change = quantity("change", format="+.2%", title=texts.CHANGE())
    bars = {
        "mark": "bar",
        "encoding": {
            "color": choose_colour("side", "for", PALETTE[0], PALETTE[1]),
            "tooltip": [nominal("feature"), change],
        },
    }
    written = [
        label_bars("change", "+.1%", align=align, transform=[{"filter": f"datum.side == '{side}'"}])
        for side, align in (("for", "left"), ("against", "right"))
    ]
    x = quantity(
        "change",
        title=texts.CHANGE(),
        scale={"domain": [-1.6 * furthest, 1.6 * furthest]},
        axis={"format": "+%", "tickCount": 5, "grid": False},
    )
    return stack_rows(rows, [bars, *written], x=x, y=row_names("feature"))


def draw_curve(
    title: str, points: Sequence[Any], probabilities: dict[str, list[float | None]], at: int
) -> Spec:
    """The classes' probabilities over a feature's values, and a rule at the one chosen.

    `at` is the index of that point. Numbers are joined by lines; text is drawn in the order given.
    """
    shown = _find_highest(probabilities)
    rows = [
        {"x": point, "class": name, "probability": probabilities[name][index]}
        for name in shown
        for index, point in enumerate(points)
    ]
    is_text = isinstance(points[0], str)
    marks = _draw_points(title) if is_text else _draw_lines(title)
    marks["encoding"] |= {
        "y": quantity(
            "probability",
            title=texts.PROBABILITY(),
            scale={"domain": [0, 1]},
            axis={"format": "%", "tickCount": 5},
        ),
        "color": colours_of(shown),
        "tooltip": [marks["encoding"]["x"], nominal("class", title=texts.CLASS()), class_share()],
    }
    rule = draw_rule(points[at], marks["encoding"]["x"]["type"])
    return {"data": {"values": rows}, "height": CURVE_HEIGHT, "layer": [marks, rule]}


def draw_counts(counts: dict[str, int]) -> Spec:
    """A bar for each class with its number of rows."""
    rows = [{"class": name, "rows": count} for name, count in keep_most(counts).items()]
    most = max([row["rows"] for row in rows] + [1])
    x = quantity("rows", title=texts.ROWS(), scale={"domain": [0, 1.25 * most]}, axis=_COUNT_AXIS)
    bars = {"mark": {**_BAR, "color": PALETTE[0]}}
    return stack_rows(rows, [bars, label_bars("rows", ",")], x=x, y=row_names("class"))


def draw_pairs(shares: dict[str, dict[str, float]], title: str) -> Spec:
    """For each name two shares beside each other, by what they are shares of."""
    kinds = list(next(iter(shares.values())))
    rows = [
        {"name": name, "of": kind, "share": share}
        for name, by_kind in list(shares.items())[:MOST_BARS]
        for kind, share in by_kind.items()
    ]
    axis = {"grid": False, "format": "%", "tickCount": 5}
    return {
        "data": {"values": rows},
        "height": PAIR_HEIGHT * len(rows) + AXIS_HEIGHT + LEGEND_HEIGHT,
        "mark": "bar",
        "encoding": {
            "y": row_names("name"),
            "yOffset": nominal("of", sort=None),
            "x": quantity("share", title=title, axis=axis),
            "color": colours_of(kinds, "of"),
            "tooltip": [nominal("name"), nominal("of"), quantity("share", format=".1%")],
        },
    }


def draw_metric(title: str, versions: Sequence[tuple[str, float, float | None]]) -> Spec:
    """Of triples (version, mean, standard error), a point each with its error to both sides."""
    rows = [
        {"version": name, "mean": mean, "low": mean - (error or 0), "high": mean + (error or 0)}
        for name, mean, error in versions
    ]
    errors = {
        "mark": {"type": "rule", "strokeWidth": 2, "color": GREY},
        "encoding": {"x": quantity("low", title=title), "x2": {"field": "high"}},
    }
    means = {
        "mark": {"type": "point", "filled": True, "size": 90, "opacity": 1, "color": PALETTE[0]},
        "encoding": {"x": quantity("mean")},
    }
    tooltip = [nominal("version", title=texts.VERSION())]
    tooltip += [quantity(field, format=".4f") for field in ("mean", "low", "high")]
    x = {"scale": {"zero": False, "padding": 12}}
    chart = stack_rows(rows, [errors, means], x=x, y=row_names("version"))
    return chart | {"encoding": chart["encoding"] | {"tooltip": tooltip}}


def draw_traffic(points: Sequence[tuple[str, float]]) -> Spec:
    """Of pairs (ISO time, requests per second), a line."""
    rows = [{"time": time, "rate": rate} for time, rate in points]
    highest = max([rate for _, rate in points] + [1])
    axis = {"format": "%H:%M:%S", "tickCount": 6, "grid": False}
    y = quantity("rate", title=texts.TRAFFIC(), scale={"domain": [0, 1.1 * highest]})
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
        {"right": right, "predicted": name, "rows": count, "share": count / sum(by_class.values())}
        for right, by_class in confusion.items()
        for name, count in by_class.items()
    ]
    scale = {"domain": list(classes)}
    axis = {"labelLimit": CELL_LABEL_WIDTH, "ticks": False, "domain": False}
    right = nominal("right", title=texts.RIGHT(), scale=scale, axis=axis)
    predicted = nominal("predicted", title=texts.PREDICTED(), scale=scale, axis=axis | _SLANTED)
    told = [
        nominal("right", title=texts.RIGHT()),
        nominal("predicted", title=texts.PREDICTED()),
        quantity("rows", title=texts.ROWS(), format=","),
        quantity("share", title=texts.SHARE_OF_ROWS(), format=".1%"),
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
            "x": quantity("probability", title=texts.PROBABILITY(), **axes),
            "y": quantity("accuracy", title=texts.ACCURACY_SHARE(), **axes),
        },
        "layer": [diagonal, line, _draw_calibrated()],
    }


def _find_highest(probabilities: dict[str, list[float | None]]) -> list[str]:
    """The classes that are the most probable ones somewhere, as many as have a colour."""
    peaks = {name: max(share or 0 for share in column) for name, column in probabilities.items()}
    return pick_largest(peaks, peaks.__getitem__, MOST_COLOURS)


def _draw_lines(title: str) -> Spec:
    """In dashes of their own, so that they can be told apart without colours too."""
    axis = {"grid": False, "tickCount": 6}
    x = quantity("x", title=title, scale={"zero": False, "nice": False}, axis=axis)
    dashes = nominal("class", sort=None, legend=None)
    mark = {"type": "line", "strokeWidth": 2.5}
    return {"mark": mark, "encoding": {"x": x, "strokeDash": dashes}}


def _draw_points(title: str) -> Spec:
    mark = {"type": "point", "filled": True, "size": 90}
    return {"mark": mark, "encoding": {"x": nominal("x", title=title, sort=None)}}


def _draw_cells() -> list[Spec]:
    """In one colour where right and predicted are the same, in another elsewhere."""
    is_right = {"test": "datum.right === datum.predicted", "value": PALETTE[0]}
    # Never so strong that the figure on it could not be read.
    strength = {"domain": [0, 1], "range": [0.1, 0.65]}
    colours = {
        "color": {"condition": is_right, "value": PALETTE[1]},
        "opacity": quantity(
            "share", title=texts.SHARE_OF_ROWS(), format=".1%", scale=strength, legend=None
        ),
    }
    figure = {"type": "text", "color": ink(), "aria": False}
    return [
        {"mark": "rect", "encoding": colours},
        {"mark": figure, "encoding": {"text": quantity("rows", format=",")}},
    ]


def _draw_calibrated() -> Spec:
    """Points, the larger the more rows they are of."""
    sizes = {"domainMin": 0, "range": [40, 240]}
    told = [
        quantity("from", title="≥", format=".0%"),
        quantity("to", title="≤", format=".0%"),
        quantity("count", title=texts.ROWS(), format=","),
        quantity("probability", title=texts.PROBABILITY(), format=".1%"),
        quantity("accuracy", title=texts.ACCURACY_SHARE(), format=".1%"),
    ]
    return {
        "mark": {"type": "point", "filled": True, "opacity": 1, "color": PALETTE[0]},
        "encoding": {
            "size": quantity("count", title=texts.ROWS(), scale=sizes, legend=None),
            "tooltip": told,
        },
    }
