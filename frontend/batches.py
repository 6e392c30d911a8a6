"""Sends a table to the backend and gathers what comes back, while the page goes on."""

from threading import Thread
from time import perf_counter
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from client import AnsweredTable, BackendClient, BackendError, Json
from uploads import Upload

VERSION_KEY = b"model_version"


class PredictedTable(NamedTuple):
    """A table with its predictions."""

    table: pa.Table
    class_column: str
    warnings: Json  # by column, the rows of each kind
    seconds: float

    @property
    def version(self) -> str:
        version: bytes = (self.table.schema.metadata or {}).get(VERSION_KEY, b"")
        return version.decode()

    def count_classes(self) -> dict[str, int]:
        """The most frequent first; rows without an answer are in none."""
        counts = self.table[self.class_column].value_counts().to_pylist()
        known = [(row["values"], row["counts"]) for row in counts if row["values"] is not None]
        return dict(sorted(known, key=lambda pair: -pair[1]))

    @property
    def unanswered(self) -> int:
        count: int = self.table[self.class_column].null_count
        return count

    @property
    def answered(self) -> int:
        count: int = self.table.num_rows - self.unanswered
        return count

    @property
    def probabilities(self) -> list[str]:
        """Names of the columns that hold them: those after the class."""
        names: list[str] = self.table.column_names
        return names[names.index(self.class_column) + 1 :]

    @property
    def others(self) -> list[str]:
        """Names of the columns that were sent."""
        names: list[str] = self.table.column_names
        return names[: names.index(self.class_column)]


class Batch:
    """One table on its way; `result` or `failure` is there when it is over."""

    def __init__(self, client: BackendClient, upload: Upload, expected: int) -> None:
        """`expected` is how many rows it has."""
        self.upload = upload
        self.expected = expected
        self.rows = 0
        self.result: PredictedTable | None = None
        self.failure: BackendError | None = None
        self._client = client
        Thread(target=self._run, daemon=True, name="batch").start()

    @property
    def is_over(self) -> bool:
        return bool(self.result or self.failure)

    def _run(self) -> None:
        started = perf_counter()
        upload = self.upload
        sending = self._client.predict_batch(upload.open(), upload.media_type, upload.sheet)
        try:
            with sending as answer:
                table = self._gather(answer)
        except BackendError as failure:
            self.failure = failure
            return
        seconds = perf_counter() - started
        self.result = PredictedTable(table, answer.class_column, answer.warnings, seconds)

    def _gather(self, answer: AnsweredTable) -> pa.Table:
        batches = []
        for batch in answer.reader:
            batches.append(batch)
            self.rows += batch.num_rows
        table = pa.Table.from_batches(batches, answer.reader.schema)
        index = table.column_names.index(answer.class_column)
        classes = pc.cast(table.column(index), pa.string())
        return table.set_column(index, answer.class_column, classes)
