"""Offers tables as files to download."""

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import streamlit as st

from uploads import MEDIA_TYPES


def offer_download(label: str, write: Callable[[], bytes], name: str) -> None:
    """A button for a file that is written when somebody presses it."""
    st.download_button(
        label,
        write,
        name,
        MEDIA_TYPES[name.rpartition(".")[2]],
        on_click="ignore",
        icon=":material/download:",
    )


def write_table(table: pa.Table, kind: str) -> bytes:
    sink = io.BytesIO()
    (pq.write_table if kind == "parquet" else pa_csv.write_csv)(table, sink)
    return sink.getvalue()


def write_template(names: Sequence[str], instances: Sequence[dict[str, Any]]) -> bytes:
    """CSV with a column for each feature and some instances as rows."""
    columns = {name: [instance.get(name) for instance in instances] for name in names}
    return write_table(pa.table(columns), "csv")


def write_rows(rows: Sequence[dict[str, Any]]) -> bytes:
    """CSV with a byte order mark, without which spreadsheets take it for another encoding."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8-sig")
