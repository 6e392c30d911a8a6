"""Looks into a table that somebody uploads, before it is sent."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

import texts

MEDIA_TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
PREVIEW_ROWS = 10
PREVIEW_BYTES = 1024**2
SEPARATORS = {";": texts.SEMICOLONS, "\t": texts.TABS}


class Unreadable(Exception):
    """The file is not of the format that its name says."""


class Upload(NamedTuple):
    """A file as it was uploaded."""

    name: str
    content: memoryview
    identity: str = ""  # another one each time, of a file with the same name too

    @property
    def kind(self) -> str:
        return "parquet" if self.name.lower().endswith(".parquet") else "csv"

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES[self.kind]

    def open(self) -> io.BytesIO:
        return io.BytesIO(self.content)


class Preview(NamedTuple):
    """The first rows, as text where the file is text, and how many there are about."""

    head: pa.Table
    rows: int

    def find_missing(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if name not in self.head.column_names]

    def find_separator(self) -> texts.Sentence | None:
        """What separates the columns in place of commas, if something seems to."""
        names = self.head.column_names
        found = (said for mark, said in SEPARATORS.items() if len(names) == 1 and mark in names[0])
        return next(found, None)


def look_into(upload: Upload) -> Preview:
    """Raises Unreadable."""
    try:
        return _look_into_parquet(upload) if upload.kind == "parquet" else _look_into_csv(upload)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Unreadable(str(error)) from None


def _look_into_parquet(upload: Upload) -> Preview:
    with pq.ParquetFile(upload.open()) as source:
        first = next(source.iter_batches(PREVIEW_ROWS), None)
        batches = [] if first is None else [first]
        head = pa.Table.from_batches(batches, source.schema_arrow)
        return Preview(head, source.metadata.num_rows)


def _look_into_csv(upload: Upload) -> Preview:
    start = bytes(upload.content[:PREVIEW_BYTES])
    if len(start) < len(upload.content):
        start = start[: start.rfind(b"\n") + 1]
    # Each cell as it stands in the file: 007 is not 7.
    header = pa_csv.open_csv(io.BytesIO(start)).schema.names
    as_text = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False
    )
    head = pa_csv.read_csv(io.BytesIO(start), convert_options=as_text)
    lines = sum(
        upload.content[at : at + PREVIEW_BYTES].tobytes().count(b"\n")
        for at in range(0, len(upload.content), PREVIEW_BYTES)
    )
    return Preview(head.slice(0, PREVIEW_ROWS), max(lines - 1, head.num_rows))
