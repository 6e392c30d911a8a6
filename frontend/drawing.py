"""The pieces that charts are drawn with, as Vega-Lite specifies them."""

import json
from collections.abc import Iterable, Sequence
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


def stack_rows(rows: Sequence[Spec], layers: Sequence[Spec], **channels: Spec) -> Spec:
    """A chart with a bar for each row, one below the other."""
    return {
        "data": {"values": list(rows)},
        "height": BAR_HEIGHT * len(rows) + AXIS_HEIGHT,
        "encoding": channels,
        "layer": list(layers),
    }


def number(field: str, **options: Any) -> Spec:
    return {"field": field, "type": "quantitative", **options}


def name(field: str, **options: Any) -> Spec:
    return {"field": field, "type": "nominal", **options}


def name_rows(field: str) -> Spec:
    """Names beside bars, in the order given."""
    axis = {"labelLimit": LABEL_WIDTH, "ticks": False, "domain": False}
    return name(field, sort=None, title=None, axis=axis)


def share(field: str = "probability", digits: str = ".2%") -> Spec:
    return number(field, title=texts.PROBABILITY(), format=digits)


def write(field: str, digits: str, *, align: str = "left", **options: Any) -> Spec:
    """What a bar says at its end."""
    offset = 5 if align == "left" else -5
    mark = {"type": "text", "align": align, "dx": offset, "color": ink()}
    return {"mark": mark, "encoding": {"text": number(field, format=digits)}, **options}


def draw_rule(at: Any, kind: str) -> Spec:
    """A line across, at a value of x."""
    return {
        "data": {"values": [{"x": at}]},
        "mark": {"type": "rule", "strokeWidth": 2, "color": ink()},
        "encoding": {"x": {"field": "x", "type": kind}},
    }


def colour(names: Sequence[str], field: str = "class") -> Spec:
    """A colour for each name, with a legend."""
    scale = {"domain": list(names), "range": find_colours(names)}
    legend = {"orient": "top", "labelLimit": LABEL_WIDTH, "columns": 3}
    return name(field, sort=None, title=None, scale=scale, legend=legend)


def find_colours(names: Sequence[str]) -> list[str]:
    """Grey for what stands for all others."""
    has_others = bool(names) and names[-1] == name_others(names[:-1])
    own = len(names) - has_others
    return [*PALETTE[:own], *[GREY] * (len(names) - min(own, MOST_COLOURS))]


def name_others(names: Iterable[str]) -> str:
    """A name for all others that is no class's own."""
    taken, said = set(names), texts.OTHERS()
    while said in taken:
        said = f"({said})"
    return said


def choose(field: str, value: str, then: str, otherwise: str) -> Spec:
    """One colour where a field has a value, and another elsewhere."""
    test = f"datum[{json.dumps(field)}] == {json.dumps(value)}"
    return {"condition": {"test": test, "value": then}, "value": otherwise}


def keep_most(values: dict[str, Any], most: int = MOST_BARS) -> dict[str, Any]:
    """The largest, in the order given; in place of the others their sum, if there are any."""
    if len(values) <= most:
        return values
    kept = set(sorted(values, key=lambda it: -values[it])[: most - 1])
    shown = {it: value for it, value in values.items() if it in kept}
    rest = texts.OTHER_CLASSES(count=len(values) - len(shown))
    return shown | {rest: sum(values.values()) - sum(shown.values())}


def ink() -> str:
    """The colour of text, on the theme the reader has."""
    return "#fafafa" if st.context.theme.type == "dark" else "#31333f"
