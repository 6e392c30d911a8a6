"""A table in, its predictions out."""

import os

import streamlit as st

import live
import texts
import uploads
from batches import Batch
from client import BackendAway, BackendError, NotOffered, connect
from downloads import offer_download, write_template
from results import show_result
from uploads import Preview, Upload

LOOK_SECONDS = 0.5
SHOWN_NAMES = 12
NAMED_FAULTS = 20  # as many as the backend names
MEGABYTE = 1024**2
MAX_BYTES = int(os.environ.get("MAX_BODY_BYTES") or 16 * MEGABYTE)  # as the backend has it

client = connect()
model = live.require_model()
manifest = model["manifest"]
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
        lambda: write_template(features, instances),
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


def look_into(upload: Upload) -> Preview | None:
    """None if the backend cannot read it, or not now, which it says."""
    try:
        with st.spinner(texts.READING()):
            return uploads.look_into(client, upload, model["version"])
    except BackendAway as away:
        if away.said:
            offer_another_look(away)
        else:
            live.note_failure(away)  # the page is drawn anew, and asks again, when it is back
    except NotOffered as error:
        offer_another_look(error)
    except BackendError as refusal:
        st.error(texts.plain(refusal.detail))
    return None


def offer_another_look(failure: BackendError) -> None:
    """Not by itself: a table that no process survives would be sent over and over."""
    say(failure)
    st.button(texts.READ_AGAIN(), on_click=uploads.forget_previews)


def say(failure: BackendError) -> None:
    """Unless the top of the page says that the backend is away."""
    if live.is_answering():
        live.show_failure(failure)


def choose_sheet(upload: Upload, sheets: list[str]) -> Upload:
    """At first the one that the backend chose, which its line about the table names."""
    sheet = st.selectbox(
        texts.SHEET(),
        sheets,
        index=None,
        placeholder=texts.OTHER_SHEET(),
        key=f"sheet {upload.identity}",
    )
    return upload._replace(sheet=sheet)


def show_preview(upload: Upload, preview: Preview) -> None:
    if preview.read_as:
        st.caption(texts.plain(texts.READ_AS(said=preview.read_as)))
    rows = texts.number(preview.rows)
    st.caption(texts.PREVIEW(file=texts.plain(upload.name), rows=rows))
    alt = texts.PREVIEW(file=upload.name, rows=rows)
    st.dataframe(preview.head, hide_index=True, alt=alt)
    if preview.missing:
        st.error(texts.COLUMNS_MISSING(names=name_columns(preview.missing)))


@st.fragment(run_every=LOOK_SECONDS)
def show_progress(batch: Batch) -> None:
    if batch.is_over:
        st.rerun()
    done, total = texts.number(batch.rows), texts.number(batch.expected)
    share = min(batch.rows / max(batch.expected, 1), 1.0)
    st.progress(share, texts.ROWS_DONE(done=done, total=total) if share else texts.CHECKING())


def show_outcome(batch: Batch) -> None:
    if batch.result:
        show_result(batch.upload.name, batch.result, features)
    elif batch.failure:
        show_faults(batch.failure)


def show_faults(failure: BackendError) -> None:
    if not failure.faults:
        say(failure)
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


offer_template()
upload = take_upload()
preview = look_into(upload) if upload else None
if upload and preview and len(preview.sheets) > 1:
    upload = choose_sheet(upload, preview.sheets)
    preview = look_into(upload)
if upload and preview:
    show_preview(upload, preview)
batch: Batch | None = st.session_state.get("batch")
if upload and preview and not preview.missing:
    busy = batch is not None and not batch.is_over
    if st.button(texts.PREDICT_ROWS(), type="primary", disabled=busy):
        batch = Batch(client, upload, preview.rows)
        st.session_state["batch"] = batch
if batch and not batch.is_over:
    show_progress(batch)
elif batch and upload and batch.upload.table == upload.table:
    show_outcome(batch)
elif batch and not upload and batch.result:
    show_outcome(batch)  # back from another page, which forgets the file
