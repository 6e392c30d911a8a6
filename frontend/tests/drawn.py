"""Finds what a page has said and drawn."""

import json
from types import SimpleNamespace

import pyarrow as pa
from streamlit.testing.v1 import AppTest

MANY = {f"class {index}": 1 / 50 for index in range(50)}


def said(page: AppTest) -> list[str]:
    """All sentences, without the backslashes that keep Markdown away."""
    kinds = (page.markdown, page.caption, page.info, page.warning, page.error, page.header)
    return [element.value.replace("\\", "") for kind in kinds for element in kind]


def find_charts(page: AppTest) -> dict[str, SimpleNamespace]:
    """Specification and rows of each chart, by what a screen reader says of it."""
    return {chart.proto.alt: _read_chart(chart.proto) for chart in page.get("vega_lite_chart")}


def find_chart(page: AppTest, start: str) -> SimpleNamespace:
    return next(chart for said, chart in find_charts(page).items() if said.startswith(start))


def _read_chart(proto) -> SimpleNamespace:
    rows = pa.ipc.open_stream(proto.data.data).read_all().to_pylist()
    return SimpleNamespace(spec=json.loads(proto.spec), rows=rows)


def rows(spec):
    return spec["data"]["values"]
