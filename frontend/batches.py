"""Sends a table to the backend and gathers what comes back, while the page goes on."""

from threading import Thread
from time import perf_counter
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from client import BackendClient, BackendError
from uploads import Upload

CLASS_COLUMN = "prediction_class"
VERSION_KEY = b"model_version"


class PredictedTable(NamedTuple):
    """A table with its predictions."""

    table: pa.Table
    version: str
    seconds: float

    def count_classes(self) -> dict[str, int]:
        """The most frequent first; rows without an answer are in none."""
        counts = self.table[CLASS_COLUMN].value_counts().to_pylist()
        known = [(row["values"], row["counts"]) for row in counts if row["values"] is not None]
        return dict(sorted(known, key=lambda pair: -pair[1]))

    @property
    def unanswered(self) -> int:
        count: int = self.table[CLASS_COLUMN].null_count
        return count

    @property
    def probabilities(self) -> list[str]:
        """Names of the columns that hold them: those after the class."""
        names: list[str] = self.table.column_names
        return names[names.index(CLASS_COLUMN) + 1 :]

    @property
    def others(self) -> list[str]:
        """Names of the columns that were sent."""
        names: list[str] = self.table.column_names
        return names[: names.index(CLASS_COLUMN)]


class Batch:
    """One table on its way; `result` or `failure` is there when it is over."""

    def __init__(self, client: BackendClient, upload: Upload, expected: int) -> None:
        """`expected` is about how many rows it has."""
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
        try:
            table = self._gather()
        except BackendError as failure:
            self.failure = failure
            return
        version = (table.schema.metadata or {}).get(VERSION_KEY, b"").decode()
        self.result = PredictedTable(table, version, perf_counter() - started)

    def _gather(self) -> pa.Table:
        with self._client.predict_batch(self.upload.open(), self.upload.media_type) as reader:
            batches = []
            for batch in reader:
                batches.append(batch)
                self.rows += batch.num_rows
            table = pa.Table.from_batches(batches, reader.schema)
        index = table.column_names.index(CLASS_COLUMN)
        return table.set_column(index, CLASS_COLUMN, pc.cast(table[CLASS_COLUMN], pa.string()))
