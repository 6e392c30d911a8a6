"""A table that somebody uploads, and what the backend reads in it before it is scored."""

import io
from typing import NamedTuple

import pyarrow as pa
import streamlit as st

from client import BackendAway, BackendClient, BackendError, Json

MEDIA_TYPES = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
}


class Upload(NamedTuple):
    """A file as it was uploaded, or one sheet of it."""

    name: str
    content: memoryview
    identity: str = ""  # another one each time, of a file with the same name too
    sheet: str | None = None  # as the backend chooses if None

    @property
    def media_type(self) -> str:
        kind = self.name.rpartition(".")[2].lower()
        return MEDIA_TYPES.get(kind, MEDIA_TYPES["csv"])

    @property
    def table(self) -> tuple[str, str | None]:
        """Tells this table from any other one."""
        return self.identity, self.sheet

    def open(self) -> io.BytesIO:
        return io.BytesIO(self.content)


class Preview(NamedTuple):
    """What the backend has read: the first rows as they stand, and what there is to know of all."""

    head: pa.Table
    rows: int
    read_as: str
    missing: list[str]
    sheets: list[str]


def look_into(client: BackendClient, upload: Upload, version: str) -> Preview:
    """Ask the backend once for each table and model; raises BackendError."""
    known: dict[tuple[object, ...], Preview | BackendError] = {
        key: found
        for key, found in st.session_state.get("previews", {}).items()
        if key[0] == upload.identity
    }
    st.session_state["previews"] = known
    key = (*upload.table, version)
    if key not in known:
        try:
            known[key] = _read(client.preview_batch(upload.open(), upload.media_type, upload.sheet))
        except BackendError as error:
            if isinstance(error, BackendAway) and not error.said:
                raise  # it has not looked
            known[key] = error
    found = known[key]
    if isinstance(found, BackendError):
        raise found
    return found


def forget_previews() -> None:
    st.session_state.pop("previews", None)


def _read(answer: Json) -> Preview:
    columns = (
        zip(*answer["head"], strict=True) if answer["head"] else [[] for _ in answer["columns"]]
    )
    cells = [pa.array(column, pa.string()) for column in columns]
    head = pa.Table.from_arrays(cells, answer["columns"])
    sheets = answer.get("sheets") or []
    return Preview(head, answer["rows"], answer["read_as"] or "", answer["missing"], sheets)
