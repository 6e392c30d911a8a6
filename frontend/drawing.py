"""The pieces that charts are drawn with, as Vega-Lite specifies them."""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, TypeVar

import streamlit as st

import texts

Spec = dict[str, Any]
Item = TypeVar("Item")

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


def show_chart(spec: Spec, description: str) -> None:
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


def quantity(field: str, **options: Any) -> Spec:
    return {"field": field, "type": "quantitative", **options}


def nominal(field: str, **options: Any) -> Spec:
    return {"field": field, "type": "nominal", **options}


def row_names(field: str) -> Spec:
    """Names beside bars, in the order given."""
    axis = {"labelLimit": LABEL_WIDTH, "ticks": False, "domain": False}
    return nominal(field, sort=None, title=None, axis=axis)


def class_share() -> Spec:
    return quantity("probability", title=texts.PROBABILITY(), format=".2%")


def label_bars(field: str, digits: str, *, align: str = "left", **options: Any) -> Spec:
    """What a bar says at its end."""
    offset = 5 if align == "left" else -5
    mark = {"type": "text", "align": align, "dx": offset, "color": ink()}
    return {"mark": mark, "encoding": {"text": quantity(field, format=digits)}, **options}


def draw_rule(at: Any, kind: str) -> Spec:
    """A line across, at a value of x."""
    return {
        "data": {"values": [{"x": at}]},
        "mark": {"type": "rule", "strokeWidth": 2, "color": ink()},
        "encoding": {"x": {"field": "x", "type": kind}},
    }


def colours_of(names: Sequence[str], field: str = "class") -> Spec:
    """A colour for each name, with a legend."""
    scale = {"domain": list(names), "range": find_colours(names)}
    legend = {"orient": "top", "labelLimit": LABEL_WIDTH, "columns": 3}
    return nominal(field, sort=None, title=None, scale=scale, legend=legend)


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


def choose_colour(field: str, value: str, then: str, otherwise: str) -> Spec:
    """One colour where a field has a value, and another elsewhere."""
    test = f"datum[{json.dumps(field)}] == {json.dumps(value)}"
    return {"condition": {"test": test, "value": then}, "value": otherwise}


def keep_most(values: dict[str, Any], most: int = MOST_BARS) -> dict[str, Any]:
    """The largest, in the order given; in place of the others their sum, if there are any."""
    if len(values) <= most:
        return values
    shown = {name: values[name] for name in pick_largest(values, values.__getitem__, most - 1)}
    rest = texts.OTHER_CLASSES(count=len(values) - len(shown))
    return shown | {rest: sum(values.values()) - sum(shown.values())}


def pick_largest(items: Collection[Item], size: Callable[[Item], Any], most: int) -> list[Item]:
    """In the order given."""
    kept = set(sorted(items, key=size, reverse=True)[:most])
    return [item for item in items if item in kept]


def ink() -> str:
    """The colour of text, on the theme the reader has."""
    return "#fafafa" if st.context.theme.type == "dark" else "#31333f"
