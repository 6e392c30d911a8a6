"""Draws what the backend answers."""

import altair as alt
import pandas as pd
from altair.typing import ChartType

import texts

BAR_HEIGHT = 36  # pixels, as below
AXIS_HEIGHT = 40
GREY = "#808495"  # readable on light and on dark


def draw_probabilities(probabilities: dict[str, float]) -> ChartType:
    """A bar for each class, in the model's order, with its share written beside it."""
    table = pd.DataFrame({"class": list(probabilities), "probability": probabilities.values()})
    bars = alt.Chart(table).encode(
        x=alt.X("probability:Q", title=texts.PROBABILITY, scale=alt.Scale(domain=[0, 1])).axis(
            format="%", grid=False, tickCount=5
        ),
        y=alt.Y("class:N", title=None, sort=None),
    )
    written = alt.Text("probability:Q", format=".1%")
    shares = bars.mark_text(align="left", dx=4, color=GREY).encode(text=written)
    height = BAR_HEIGHT * len(table) + AXIS_HEIGHT
    return alt.layer(bars.mark_bar(), shares, height=height)
