"""Scores parts of files, which the command reads and writes: a bad row stops no other."""

import csv
import io
from itertools import islice
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa

from worker.exchange import Array, Message
from worker.headers import Header
from worker.media import Format
from worker.opened_model import OpenedModel
from worker.tables.answers import TEXT, Answers, Scored
from worker.tables.binary_tables import open_parquet
from worker.tables.bodies import leave_out, plan
from worker.tables.columns import BadRows, Columns
from worker.tables.csv_tables import open_rows
from worker.tables.ragged import RaggedRows
from worker.tables.table import UNLIMITED, Opener
from worker.tables.workbooks import open_workbook
from worker.tables.writers import WRITERS, Pieces, Rows

NO_ANSWER = "The model has no answer to values this large or this unusual."
WORKBOOK = UNLIMITED._replace(unpacked_bytes=1024**3)  # as it is in memory whole
NO_DATA = "It holds no data, but units, totals or a note."


class FileAnswers(Answers):
    """The columns of the answers in a file, which tell the class's index and the version too."""

    def __init__(self, model: OpenedModel) -> None:
        super().__init__(model)
        self.names = ["prediction", *self.names, "model_version"]
        self.kinds = [pa.int32(), *self.kinds, TEXT]

    def make_columns(self, indices: Array, probabilities: Array | None) -> list[Any]:
        places = pa.array(np.zeros(len(indices), np.int32))
        versions = pa.DictionaryArray.from_arrays(places, pa.array([self.version]))
        columns = super().make_columns(indices, probabilities)
        return [pa.array(indices.astype(np.int32)), *columns, versions]


class Part:
    """Rows of a file that are read, answered and written."""

    def __init__(self, model: OpenedModel, message: Message, opener: Opener) -> None:
        head, arrays = message
        self.answers = FileAnswers(model)
        self._wanted = Format(head["wanted"])
        self._bad: list[BadRows] = []
        self._ragged = RaggedRows()
        self._read = 0  # rows, but for bad ones of the text
        self._told = 0  # of these
        if head["sent"] == Format.CSV:
            header, ends = Header(*head["header"]), head.get("ends", {})
            self._ragged = RaggedRows(header.names, header.delimiter)
            body = arrays["body"].data
            self._table = open_rows(body, header, model.description, self._ragged, **ends)
        elif head["sent"] == Format.XLSX:
            content = memoryview(opener().read())
            self._table = open_workbook(content, WORKBOOK, model.description, None)
        else:
            self._table = open_parquet(opener, UNLIMITED, head.get("groups"))
        self._columns = Columns(model.description, self._table)
        self._written = plan(self._table.schema, self._columns, self.answers, self._wanted)

    @property
    def rows(self) -> int:
        """All that have been read."""
        return self._read + len(self._ragged.bad)

    def describe(self) -> dict[str, Any]:
        """What files of one source share, and how this one is read."""
        schema = self._table.schema.remove_metadata()
        columns = str(schema if self._wanted is Format.PARQUET else schema.names)
        return {"columns": columns, "renamed": self.answers.renamed, "read_as": self._table.said}

    def count_rows(self) -> int:
        """Count the rows of a workbook, which is in memory already."""
        return sum(batch.num_rows for batch in self._table.read())

    def write(self) -> Pieces:
        return WRITERS[self._wanted](self._score(), self.answers, self._written)

    def take_faults(self) -> tuple[int, bytes]:
        """Rows left out since the last call: how many, and CSV of row, column and reason."""
        ragged = np.array([*self._ragged.bad], int)
        before = ragged - np.arange(1, len(ragged) + 1)  # rows before each that are not ragged
        ready = int(np.searchsorted(before, self._read, side="right"))
        left = islice(self._ragged.bad, self._told, ready)
        faults = [(row, "", self._ragged.describe(row)) for row in left]
        for places, column, reason in self._bad:
            numbers = places + 1 + np.searchsorted(before, places, side="right")
            faults += [(row, column, reason) for row in numbers.tolist()]
        self._told, self._bad = ready, []
        faults.sort(key=itemgetter(0))
        text = io.StringIO(newline="")
        csv.writer(text).writerows(faults)
        return len({row for row, _, _ in faults}), text.getvalue().encode()

    def _score(self) -> Rows:
        for chunk in self._table.chunks():
            scored = self._answer_chunk(chunk)
            self._read += chunk.num_rows
            if scored and scored.sent.num_rows:
                yield scored

    def _answer_chunk(self, chunk: Any) -> Scored | None:
        """The rows that have answers; None if all of them are bad."""
        good = np.ones(chunk.num_rows, bool)
        for bad in self._find_bad(chunk):
            self._leave_out(bad, good)
        asked = np.flatnonzero(good)
        if not len(asked):
            return None
        X = self._columns.to_array(chunk)
        indices, probabilities = self.answers.model.answer(X if good.all() else X[asked])
        answers = self.answers.make_columns(indices, probabilities)
        is_answered = indices >= 0
        if not is_answered.all():
            self._leave_out(BadRows(asked[~is_answered], "", NO_ANSWER), good)
            answers = [column.filter(pa.array(is_answered)) for column in answers]
        self.answers.warn_of(self._columns.read_cells(chunk), good)
        sent = self._columns.shape(chunk, self._wanted)
        return Scored(sent if good.all() else sent.filter(pa.array(good)), answers)

    def _find_bad(self, chunk: Any) -> list[BadRows]:
        bad = self._columns.find_bad(chunk)
        is_data = self._table.mask_data(self._read, chunk.num_rows)
        if is_data is None:
            return bad
        return [BadRows(np.flatnonzero(~is_data), "", NO_DATA), *leave_out(bad, is_data)]

    def _leave_out(self, bad: BadRows, good: Array) -> None:
        good[bad.rows] = False
        self._bad.append(bad._replace(rows=bad.rows + self._read))
