"""Finds what a page has drawn."""

import json
from types import SimpleNamespace

import pyarrow as pa
from streamlit.testing.v1 import AppTest


def find_charts(page: AppTest) -> dict[str, SimpleNamespace]:
    """Specification and rows of each chart, by what a screen reader says of it."""
    return {it.proto.alt: _read(it.proto) for it in page.get("vega_lite_chart")}


def find_chart(page: AppTest, start: str) -> SimpleNamespace:
    return next(it for said, it in find_charts(page).items() if said.startswith(start))


def _read(proto) -> SimpleNamespace:
    rows = pa.ipc.open_stream(proto.data.data).read_all().to_pylist()
    return SimpleNamespace(spec=json.loads(proto.spec), rows=rows)
