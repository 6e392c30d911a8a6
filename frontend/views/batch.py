"""A table in, its predictions out."""

import os
from functools import partial
from pathlib import PurePath

import streamlit as st

import charts
import live
import texts
import uploads
from batches import CLASS_COLUMN, Batch, PredictedTable
from client import BackendError, connect
from downloads import offer_download, write_table, write_template
from drawing import show_chart
from uploads import Unreadable, Upload

LOOK_SECONDS = 0.5
SHOWN_NAMES = 12
NAMED_FAULTS = 20  # as many as the backend names
MEGABYTE = 1024**2
MAX_BYTES = int(os.environ.get("MAX_BODY_BYTES") or 16 * MEGABYTE)  # as the backend has it

client = connect()
manifest = live.require_model()["manifest"]
features = manifest["features"]
names = [feature["name"] for feature in features]


def name_columns(columns: list[str]) -> str:
    return texts.plain(texts.list_some(columns, SHOWN_NAMES))


def offer_template() -> None:
    st.markdown(texts.BATCH_INTRODUCTION())
    st.caption(texts.COLUMNS(names=name_columns(names)))
    instances = [example["inputs"] for example in manifest["examples"]]
    offer_download(
        texts.TEMPLATE(),
        lambda: write_template(names, instances),
        f"{manifest['name']}_template.csv",
    )


def take_upload() -> Upload | None:
    file = st.file_uploader(
        texts.UPLOAD(limit=texts.bytes_of(MAX_BYTES)),
        type=list(uploads.MEDIA_TYPES),
        max_upload_size=max(1, MAX_BYTES // MEGABYTE),
        key="table",
    )
    return Upload(file.name, file.getbuffer(), file.file_id) if file else None


def show_preview(upload: Upload) -> uploads.Preview | None:
    """None where there is nothing to send, which it says."""
    file = texts.plain(upload.name)
    try:
        preview = uploads.look_into(upload)
    except Unreadable:
        st.error(texts.PREVIEW_FAILED(file=file, kind=upload.kind.upper()))
        return None
    st.caption(texts.PREVIEW(file=file))
    st.dataframe(preview.head, hide_index=True, alt=texts.PREVIEW(file=upload.name))
    separator, missing = preview.find_separator(), preview.find_missing(names)
    if separator:
        st.error(texts.OTHER_SEPARATOR(mark=separator()))
    elif missing:
        st.error(texts.COLUMNS_MISSING(names=name_columns(missing)))
    return None if missing else preview


@st.fragment(run_every=LOOK_SECONDS)
def show_progress(batch: Batch) -> None:
    if batch.is_over:
        st.rerun()
    done, total = texts.number(batch.rows), texts.number(batch.expected)
    share = min(batch.rows / max(batch.expected, 1), 1.0)
    st.progress(share, texts.ROWS_DONE(done=done, total=total) if share else texts.CHECKING())


def show_outcome(batch: Batch) -> None:
    if batch.result:
        show_result(batch.upload.name, batch.result)
    elif batch.failure:
        show_faults(batch.failure)


def show_faults(failure: BackendError) -> None:
    if not failure.faults:
        live.note_failure(failure)
        return
    st.error(texts.BAD_ROWS())
    headings = {"row": texts.ROW(), "column": texts.COLUMN(), "detail": texts.REASON()}
    st.dataframe(
        [
            {heading: fault.get(key) for key, heading in headings.items()}
            for fault in failure.faults
        ],
        hide_index=True,
        alt=texts.BAD_ROWS(),
    )
    if len(failure.faults) >= NAMED_FAULTS:
        st.caption(texts.MORE_FAULTS(count=len(failure.faults)))


def show_result(name: str, result: PredictedTable) -> None:
    rows = texts.number(result.table.num_rows)
    st.header(texts.RESULT(rows=rows, seconds=texts.number(result.seconds, 1)), anchor=False)
    st.caption(texts.plain(texts.RESULT_OF(file=name, version=result.version)))
    if result.unanswered:
        st.warning(texts.UNANSWERED(count=texts.number(result.unanswered)))
    chart, table = st.columns([1, 2], gap="large")
    with chart:
        st.caption(texts.CLASS_COUNTS())
        counts = result.count_classes()
        if counts:
            show_chart(charts.draw_counts(counts), texts.CLASS_COUNTS())
    with table:
        st.dataframe(
            result.table,
            hide_index=True,
            lazy=True,
            column_order=[CLASS_COLUMN, *result.probabilities, *result.others],
            alt=texts.RESULT_TABLE(),
            column_config={
                column: st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)
                for column in result.probabilities
            },
        )
        with st.container(horizontal=True):
            for kind, label in texts.DOWNLOADS.items():
                offer_download(
                    label(),
                    partial(write_table, result.table, kind),
                    f"{PurePath(name).stem}_predictions.{kind}",
                )


offer_template()
upload = take_upload()
preview = show_preview(upload) if upload else None
batch: Batch | None = st.session_state.get("batch")
if upload and preview:
    busy = batch is not None and not batch.is_over
    if st.button(texts.PREDICT_ROWS(), type="primary", disabled=busy):
        batch = Batch(client, upload, preview.rows)
        st.session_state["batch"] = batch
if batch and not batch.is_over:
    show_progress(batch)
elif batch and upload and batch.upload.identity == upload.identity:
    show_outcome(batch)
elif batch and not upload and batch.result:
    show_outcome(batch)  # back from another page, which forgets the file
