"""Draws what the backend answers."""

import altair as alt
import pandas as pd

import texts

BAR_HEIGHT = 36


def draw_probabilities(probabilities: dict[str, float]) -> alt.LayerChart:
    """A bar for each class, in the model's order, with its share written beside it."""
    table = pd.DataFrame({"class": list(probabilities), "probability": probabilities.values()})
    bars = alt.Chart(table).encode(
        x=alt.X("probability:Q", title=texts.PROBABILITY, scale=alt.Scale(domain=[0, 1]))
        .axis(format="%", grid=False, tickCount=5),
        y=alt.Y("class:N", title=None, sort=None),
    )
    shares = bars.mark_text(align="left", dx=4).encode(text=alt.Text("probability:Q", format=".1%"))
    chart = bars.mark_bar() + shares
    return chart.properties(height=BAR_HEIGHT * len(table) + 40)
