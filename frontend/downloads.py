"""Offers tables as files to download."""

import io
from codecs import BOM_UTF8
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import streamlit as st

from client import Json
from spreadsheets import find_formulas, guard, is_text, to_text
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


def write_parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def write_csv(table: pa.Table, separator: str = ",") -> bytes:
    """For programs: every cell as it is."""
    columns = [to_text(it) if is_text(it.type) else it for it in table.columns]
    sink = io.BytesIO()
    options = pa_csv.WriteOptions(delimiter=separator)
    pa_csv.write_csv(pa.Table.from_arrays(columns, table.column_names), sink, options)
    return sink.getvalue()


def write_guarded_csv(table: pa.Table) -> bytes:
    """For spreadsheets, which calculate no cell of it."""
    columns = [guard(to_text(it)) if is_text(it.type) else it for it in table.columns]
    names = guard(pa.array(table.column_names)).to_pylist()
    return BOM_UTF8 + write_csv(pa.Table.from_arrays(columns, names))


def write_rows(rows: Sequence[dict[str, Any]]) -> bytes:
    """CSV for spreadsheets."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = [_gather([row.get(name) for row in rows]) for name in names]
    return write_guarded_csv(pa.Table.from_arrays(columns, [*names]))


def _gather(cells: list[Any]) -> Any:
    """A column, of text if not all cells are of one kind."""
    try:
        return pa.array(cells)
    except pa.ArrowException:
        return pa.array([None if cell is None else str(cell) for cell in cells])


def write_template(features: Sequence[Json], instances: Sequence[Json]) -> bytes:
    """CSV with a column for each feature and a row for each instance, as the backend reads them.

    An instance with a formula in it is left out: guarded, it would be another one.
    """
    columns = [
        pa.array([_write_cell(it.get(feature["name"]), feature) for it in instances], pa.string())
        for feature in features
    ]
    table = pa.Table.from_arrays(columns, [feature["name"] for feature in features])
    safe = table.filter(pc.invert(reduce(pc.or_, map(find_formulas, columns))))
    has_commas = any(_find_written(feature).get("decimal") == "," for feature in features)
    return BOM_UTF8 + write_csv(safe, ";" if has_commas else ",")


def _find_written(feature: Json) -> Json:
    """How the training table writes its cells, if that is not plain."""
    return feature.get("written") or {}


def _write_cell(value: Any, feature: Json) -> str | None:
    if value is None or isinstance(value, str):
        return value
    text: str = pa.scalar(value).cast(pa.string()).as_py()
    # A point would be taken for a sign of thousands: 1.234 for 1234.
    return text.replace(".", _find_written(feature).get("decimal", "."))
