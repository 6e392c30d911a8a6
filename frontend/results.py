"""Shows a table with its predictions, what they warn of, and the files it can be taken away in."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import PurePath

import streamlit as st

import charts
import texts
from batches import PredictedTable
from client import Json
from downloads import offer_download, write_csv, write_guarded_csv, write_parquet
from drawing import show_chart
from spreadsheets import fits_sheet, write_workbook

MANY = 0.1  # a share of rows with unknown values that is hardly chance
SHOWN_COLUMNS = 12
SHOWN_VALUES = 6


def show_result(name: str, result: PredictedTable, features: Sequence[Json]) -> None:
    rows = texts.number(result.answered)
    st.header(texts.RESULT(rows=rows, seconds=texts.number(result.seconds, 1)), anchor=False)
    st.caption(texts.plain(texts.RESULT_OF(file=name, version=result.version)))
    if result.unanswered:
        st.warning(texts.UNANSWERED(count=texts.number(result.unanswered)))
    _warn_of_unknown(result, features)
    chart, table = st.columns([1, 2], gap="large")
    with chart:
        st.caption(texts.CLASS_COUNTS())
        counts = result.count_classes()
        if counts:
            show_chart(charts.draw_counts(counts), texts.CLASS_COUNTS())
    with table:
        _show_table(result)
        _offer_downloads(PurePath(name).stem, result)
    _show_warnings(result.warnings)


def _warn_of_unknown(result: PredictedTable, features: Sequence[Json]) -> None:
    """Loudly, where it is many rows: whole columns may be mixed up or spelt otherwise."""
    known = {feature["name"]: feature.get("values") for feature in features}
    counts = {column: counted.get("unknown", 0) for column, counted in _list(result.warnings)}
    many = {column: n for column, n in counts.items() if n > MANY * result.answered}
    for column, count in [*many.items()][:SHOWN_COLUMNS]:
        said = texts.MANY_UNKNOWN(
            column=texts.plain(column),
            count=texts.number(count),
            rows=texts.number(result.answered),
            share=texts.percent(count / result.answered, 0),
        )
        values = texts.list_some(known.get(column) or [], SHOWN_VALUES)
        st.error(said + (f" {texts.KNOWN_VALUES(values=texts.plain(values))}" if values else ""))


def _list(warnings: Json) -> list[tuple[str, Json]]:
    """Columns with their counts, without what says how many more columns there are."""
    return [(column, counts) for column, counts in warnings.items() if isinstance(counts, dict)]


def _show_table(result: PredictedTable) -> None:
    st.dataframe(
        result.table,
        hide_index=True,
        lazy=True,
        column_order=[result.class_column, *result.probabilities, *result.others],
        alt=texts.RESULT_TABLE(),
        column_config={
            column: st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)
            for column in result.probabilities
        },
    )


def _offer_downloads(stem: str, result: PredictedTable) -> None:
    buttons = st.container(horizontal=True)
    is_guarded = st.toggle(texts.GUARD(), value=True, key="guard")
    st.caption(texts.GUARD_CAPTION())
    writers: dict[str, Callable[..., bytes]] = {
        "csv": write_guarded_csv if is_guarded else write_csv,
        "xlsx": partial(write_workbook, sheet_name=texts.RESULT_TABLE()),
        "parquet": write_parquet,
    }
    if not fits_sheet(result.table):
        del writers["xlsx"]
        st.caption(texts.NO_WORKBOOK())
    with buttons:
        for kind, write in writers.items():
            offer_download(
                texts.DOWNLOADS[kind](),
                partial(write, result.table),
                f"{stem}_predictions.{kind}",
            )


def _show_warnings(warnings: Json) -> None:
    """Rows by column and kind of warning, if there are any."""
    rows = [
        {texts.COLUMN(): column}
        | {heading(): counts.get(kind, 0) for kind, heading in texts.WARNINGS.items()}
        for column, counts in _list(warnings)
    ]
    if not rows:
        return
    st.caption(texts.WARNED_ROWS())
    st.dataframe(rows, hide_index=True, alt=texts.WARNED_ROWS())
    more = sum(count for count in warnings.values() if not isinstance(count, dict))
    if more:
        st.caption(texts.MORE_WARNED(count=texts.number(more)))
