"""Answers parts of files, which the command reads and writes: a bad row stops no other."""

import csv as csv_lines
import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from batch.media import Format
from errors import MalformedTable, ModelServerError, TableTooLarge
from schemas import Number
from worker.estimator import Estimator
from worker.exchange import Array, Message, pack, receive, send, unpack
from worker.faults import TOO_LARGE, write_fault
from worker.tables.answering import gather
from worker.tables.answers import TEXT, Answers, Scored
from worker.tables.columns import Columns
from worker.tables.csv_tables import describe_ragged, make_parse_options
from worker.tables.scoring import WRITERS, plan
from worker.tables.writers import Pieces, join_parquet

# A chunk is what is in memory at a time, and a row group of what is written.
CHUNK_ROWS = 65_536
CHUNK_BYTES = 32 * 1024**2
ROWS_AT_ONCE = 16_384  # the model is asked for: what they take stays in the processor's caches
BUFFER_BYTES = 1024**2  # of each column of Parquet

# Its handler of Ctrl-C makes a pipe, which a confined process may not.
pa.enable_signal_handlers(False)

REPLACED = "\ufffd"  # stands for bytes that are no text
NO_ANSWER = "The model has no answer to values this large or this unusual."

Fault = tuple[int, str, str]  # row, column, reason


class Chunk(NamedTuple):
    """Rows with their numbers in the part, from 1, and what is wrong with rows left out."""

    rows: Any
    numbers: Array
    faults: list[Fault]


class RemoteFile:
    """A file that the other side reads, as this process may open none."""

    closed = False

    def __init__(self, channel: socket.socket, index: int, size: int) -> None:
        self._channel = channel
        self._index = index
        self._size = size
        self._place = 0

    def read(self, count: int) -> bytes:
        count = min(count, self._size - self._place)
        if count <= 0:
            return b""
        send(self._channel, pack({"read": [self._index, self._place, count]}))
        content = unpack(receive(self._channel)).arrays["content"].tobytes()
        self._place += len(content)
        return content

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = offset + (0, self._place, self._size)[whence]
        return self._place

    def tell(self) -> int:
        return self._place

    def close(self) -> None:
        """pyarrow asks for it."""


class FileAnswers(Answers):
    """The columns of the answers in a file, which tell the class's index and the version too."""

    def __init__(self, model: Estimator) -> None:
        super().__init__(model, None)
        self.names = ["prediction", *self.names, "model_version"]
        self.kinds = [pa.int32(), *self.kinds, TEXT]

    def make_columns(self, indices: Array, probabilities: Array | None) -> list[Any]:
        versions = pa.DictionaryArray.from_arrays(
            pa.array(np.zeros(len(indices), np.int32)), pa.array([self.version])
        )
        columns = super().make_columns(indices, probabilities)
        return [pa.array(indices.astype(np.int32)), *columns, versions]


class Part:
    """Rows of a file that are read, answered and written."""

    def __init__(self, channel: socket.socket, model: Estimator, message: Message) -> None:
        head, arrays = message
        self._model = model
        self._head = head
        self._answers = FileAnswers(model)
        self._wanted = Format(head["wanted"])
        is_text = head["sent"] == Format.CSV
        if is_text:
            self.schema = pa.schema([(name, pa.string()) for name in head["names"]])
            self._chunks = _read_csv(arrays["body"].tobytes(), self.schema, head["delimiter"])
        else:
            self.file = _open_parquet(channel, 0, head["size"])
            self.schema = self.file.schema_arrow
            self._chunks = _read_parquet(self.file, head.get("groups", []))
        features = model.description.features
        self._columns = Columns(features, self.schema, is_text)
        self._written = plan(self.schema, self._columns, self._answers, self._wanted)
        self._decimal = [it.name for it in features if isinstance(it, Number)]
        self._faults: list[Fault] = []
        self._rows = self._bad = 0

    def write(self) -> Pieces:
        return WRITERS[self._wanted](self._score(), self._answers, self._written)

    def take(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Counts since the last call, and CSV of bad rows."""
        text = io.StringIO(newline="")
        csv_lines.writer(text).writerows(self._faults)
        faults = np.frombuffer(text.getvalue().encode(), np.uint8)
        taken = {"rows": self._rows, "bad": self._bad}, {"faults": faults}
        self._rows, self._bad, self._faults = 0, 0, []
        return taken

    def _score(self) -> Iterator[Scored]:
        for chunk in self._chunks:
            scored, faults = self._score_chunk(chunk)
            bad = len({row for row, _, _ in faults})
            self._bad += bad
            self._rows += bad + scored.sent.num_rows
            self._faults += sorted(faults, key=lambda it: it[0])
            if scored.sent.num_rows:
                yield scored

    def _score_chunk(self, chunk: Chunk) -> tuple[Scored, list[Fault]]:
        """Rows with their answers, and what is wrong with the others."""
        rows, numbers, faults = chunk
        asked = self._point(rows)
        found = self._columns.find_bad(asked)
        faults = faults + _locate(found, numbers)
        if found:
            kept = _all_but([places for places, _, _ in found], len(numbers))
            rows, asked, numbers = _keep(kept, rows, asked, numbers)
        indices, probabilities = self._ask(self._columns.to_array(asked))
        if len(unanswered := np.flatnonzero(indices < 0)):
            faults += _locate([(unanswered, "", NO_ANSWER)], numbers)
            kept = indices >= 0
            probabilities = None if probabilities is None else probabilities[kept]
            rows, asked, indices = _keep(kept, rows, asked, indices)
        sent = rows if self._wanted is Format.CSV else self._columns.convert(asked)
        return Scored(sent, self._answers.make_columns(indices, probabilities)), faults

    def _point(self, rows: Any) -> Any:
        """With a point in decimals, which a comma may separate if it separates no cells."""
        if self._head.get("delimiter") != ";":
            return rows
        for name in self._decimal:
            place = rows.schema.get_field_index(name)
            pointed = pc.replace_substring(rows.column(place), ",", ".")
            rows = rows.set_column(place, rows.schema.field(place), pointed)
        return rows

    def _ask(self, X: Array) -> tuple[Array, Array | None]:
        if not len(X):
            return np.empty(0, np.int64), np.empty((0, len(self._model.classes)))
        starts = range(0, len(X), ROWS_AT_ONCE)
        found = [self._model.answer(X[start : start + ROWS_AT_ONCE]) for start in starts]
        probabilities = [it for _, it in found if it is not None]
        indices = np.concatenate([it for it, _ in found])
        return indices, np.concatenate(probabilities) if probabilities else None


def look(channel: socket.socket, model: Estimator, message: Message) -> None:
    """Send the columns of a file and the rows of its row groups, or why it cannot be scored."""
    with _telling(channel):
        part = Part(channel, model, message)
        told = {"done": True, "columns": str(part.schema.remove_metadata()), "groups": []}
        if message.head["sent"] == Format.PARQUET:
            groups = map(part.file.metadata.row_group, range(part.file.num_row_groups))
            told["groups"] = [it.num_rows for it in groups]
        send(channel, pack(told))


def answer_part(channel: socket.socket, model: Estimator, message: Message) -> None:
    """Send it piece by piece, each with what has become of its rows."""
    with _telling(channel):
        part = Part(channel, model, message)
        for piece in gather(part.write()):
            counts, faults = part.take()
            send(channel, pack(counts, faults | {"piece": np.frombuffer(piece, np.uint8)}))
        counts, faults = part.take()
        send(channel, pack(counts | {"done": True}, faults))


def join(channel: socket.socket, _: Estimator, message: Message) -> None:
    """Send one Parquet file of several."""
    with _telling(channel):
        sizes = message.head["sizes"]
        files = (_open_parquet(channel, *it) for it in enumerate(sizes))
        schema = _open_parquet(channel, 0, sizes[0]).schema_arrow
        for piece in gather(join_parquet(files, schema)):
            send(channel, pack({}, {"piece": np.frombuffer(piece, np.uint8)}))
        send(channel, pack({"done": True}))


@contextmanager
def _telling(channel: socket.socket) -> Iterator[None]:
    """Send what stops it."""
    try:
        yield
    except ModelServerError as error:
        send(channel, pack({"fault": write_fault(error)}))
    except MemoryError:
        send(channel, pack({"fault": write_fault(TableTooLarge(TOO_LARGE))}))
    except (pa.ArrowException, OSError) as error:
        said = str(error).partition("\n")[0].rstrip(".")
        send(channel, pack({"fault": write_fault(MalformedTable(said))}))


def _locate(found: list[tuple[Array, str, str]], numbers: Array) -> list[Fault]:
    return [
        (row, column, reason)
        for places, column, reason in found
        for row in numbers[places].tolist()
    ]


def _all_but(places: list[Array], rows: int) -> Array:
    mask = np.ones(rows, dtype=bool)
    for it in places:
        mask[it] = False
    return mask


def _keep(mask: Array, *columns: Any) -> list[Any]:
    return [it[mask] if isinstance(it, np.ndarray) else it.filter(pa.array(mask)) for it in columns]


def _open_parquet(channel: socket.socket, index: int, size: int) -> Any:
    # Through a buffer, or each column of a group would be in memory whole.
    source = pa.PythonFile(RemoteFile(channel, index, size), "r")
    return pq.ParquetFile(source, pre_buffer=False, buffer_size=BUFFER_BYTES)


def _read_parquet(file: Any, groups: list[int]) -> Iterator[Chunk]:
    found = list(map(file.metadata.row_group, groups))
    row_bytes = sum(it.total_byte_size for it in found) // max(1, sum(it.num_rows for it in found))
    most = max(1024, min(CHUNK_ROWS, CHUNK_BYTES // max(1, row_bytes)))
    done = 0
    for batch in file.iter_batches(most, row_groups=groups, use_threads=False):
        yield Chunk(batch, np.arange(done + 1, done + batch.num_rows + 1), [])
        done += batch.num_rows


def _read_csv(content: bytes, schema: Any, delimiter: str) -> Iterator[Chunk]:
    """Rows of a piece of a file, without a header."""
    try:
        content.decode()
        is_damaged = False
    except UnicodeDecodeError:
        content, is_damaged = content.decode(errors="replace").encode(), True
    table, ragged = _parse(content, schema, delimiter)
    numbers = np.delete(
        np.arange(1, table.num_rows + len(ragged) + 1), [row - 1 for row, _, _ in ragged]
    )
    start = 0
    for batch in table.to_batches(CHUNK_ROWS):
        now = numbers[start : start + batch.num_rows]
        start += batch.num_rows
        before = [it for it in ragged if it[0] < now[-1]]
        ragged = ragged[len(before) :]
        chunk = Chunk(batch, now, before)
        yield _leave_damaged_out(chunk) if is_damaged else chunk
    if ragged:
        empty = pa.RecordBatch.from_pylist([], schema)
        yield Chunk(empty, numbers[:0], ragged)


def _parse(content: bytes, schema: Any, delimiter: str) -> tuple[Any, list[Fault]]:
    """Its rows, and those with more cells than the header, or fewer."""
    ragged: list[Fault] = []

    def note(row: Any) -> str:
        ragged.append((row.number, "", describe_ragged(row)))
        return "skip"

    table = csv.read_csv(
        pa.BufferReader(content),
        csv.ReadOptions(column_names=schema.names, block_size=len(content) + 1, use_threads=False),
        make_parse_options(note, len(schema) == 1, delimiter),
        csv.ConvertOptions(column_types=schema, strings_can_be_null=True, null_values=[""]),
    )
    return table, ragged


def _leave_damaged_out(chunk: Chunk) -> Chunk:
    is_damaged = np.zeros(chunk.rows.num_rows, dtype=bool)
    for column in chunk.rows.columns:
        found = pc.match_substring(column, REPLACED).fill_null(False)
        is_damaged |= found.to_numpy(zero_copy_only=False)
    said = "It holds bytes that are no UTF-8."
    faults = _locate([(np.flatnonzero(is_damaged), "", said)], chunk.numbers)
    [rows, numbers] = _keep(~is_damaged, chunk.rows, chunk.numbers)
    return Chunk(rows, numbers, [*chunk.faults, *faults])
