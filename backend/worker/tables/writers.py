"""Writes scored rows, a chunk at a time, in each of the formats there are."""

import json
import re
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

from errors import TableTooLarge
from features.answers import PROBABILITY, RENAMED
from worker.exchange import Piece
from worker.media import Format
from worker.tables.answers import Answers, Scored

# Of Parquet; smaller ones make files that are slow to read.
GROUP_ROWS = 65_536
GROUP_BYTES = 8 * 1024**2

_PROBABILITY = re.compile(f"({RENAMED})*{PROBABILITY}")

CELLS_AT_ONCE = 8_000_000  # of an answer in JSON columns, which cannot be written row by row

Rows = Iterator[Scored]
Pieces = Iterator[Piece]
WriteRows = Callable[[Rows, Answers, Any], Pieces]


class _Sink:
    """A file whose content is taken out of it while it grows."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[Any] = []

    def write(self, part: Any) -> int:
        self._parts.append(part)
        return len(part)

    def flush(self) -> None:
        """pyarrow asks for it."""

    def close(self) -> None:
        """As above."""

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def write_arrow(rows: Rows, answers: Answers, sent: Any) -> Pieces:
    sink, schema = _Sink(), answers.schema(sent)
    with pa.ipc.new_stream(pa.PythonFile(sink, "w"), schema) as file:
        for chunk in rows:
            file.write_batch(_put_together(chunk, schema))
            yield sink.take()
    yield sink.take()


def write_parquet(rows: Rows, answers: Answers, sent: Any) -> Pieces:
    sink, schema = _Sink(), answers.schema(sent)
    with pq.ParquetWriter(pa.PythonFile(sink, "w"), schema, **_find_encoding(schema)) as file:
        waiting: list[Any] = []
        for chunk in rows:
            waiting.append(_put_together(chunk, schema))
            if _is_group(waiting):
                file.write_table(pa.Table.from_batches(waiting, schema))
                waiting = []
                yield sink.take()
        if waiting:
            file.write_table(pa.Table.from_batches(waiting, schema))
    yield sink.take()


def join_parquet(files: Iterator[Any]) -> Pieces:
    """One Parquet file of several with the same columns, row group by row group."""
    first = next(files)
    sink, schema = _Sink(), first.schema_arrow
    with pq.ParquetWriter(pa.PythonFile(sink, "w"), schema, **_find_encoding(schema)) as joined:
        for file in chain([first], files):
            for group in range(file.num_row_groups):
                joined.write_table(file.read_row_group(group).cast(schema))
                yield sink.take()
    yield sink.take()


def _find_encoding(schema: Any) -> dict[str, Any]:
    """Options of Parquet: probabilities hardly repeat, so packing them takes time for nothing."""
    repeating = [name for name in schema.names if not _PROBABILITY.match(name)]
    codecs = {name: "snappy" if name in repeating else "none" for name in schema.names}
    return {"use_dictionary": repeating, "compression": codecs}


def _put_together(chunk: Scored, schema: Any) -> Any:
    columns = [*map(_compact, chunk.sent.columns), *chunk.answers]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _compact(column: Any) -> Any:
    """A view of a few rows would be written with the text of all."""
    if pa.types.is_string_view(column.type):
        return column.cast(pa.large_string()).cast(pa.string_view())
    if pa.types.is_binary_view(column.type):
        return column.cast(pa.large_binary()).cast(pa.binary_view())
    return column


def _is_group(waiting: list[Any]) -> bool:
    rows = sum(batch.num_rows for batch in waiting)
    size: int = sum(batch.nbytes for batch in waiting)
    return rows >= GROUP_ROWS or size >= GROUP_BYTES


def write_csv(rows: Rows, answers: Answers, sent: Any) -> Pieces:
    names = pa.array([*sent.names, *answers.names])
    yield (",".join(_quote(names).to_pylist()) + "\n").encode()
    for chunk in rows:
        cells = list(map(_to_cells, (*chunk.sent.columns, *chunk.answers)))
        cells[-1] = pc.binary_join_element_wise(cells[-1], "\n", "")
        yield _take_text(pc.binary_join_element_wise(*cells, ","))


def _to_cells(column: Any) -> Any:
    """Text; empty where a cell is missing."""
    kind = column.type
    if pa.types.is_dictionary(kind) and len(column.dictionary) <= len(column):
        return _to_cells(column.dictionary).take(column.indices).fill_null("")
    is_bare = pa.types.is_floating(kind) or pa.types.is_integer(kind)
    text = column.cast(pa.string())
    return (text if is_bare else _quote(text)).fill_null("")


def _quote(text: Any) -> Any:
    """RFC 4180; an empty text is quoted, as an empty cell is a missing one."""
    content = bytes(_take_text(text))
    is_bare = not any(mark in content for mark in (b'"', b",", b"\n", b"\r"))
    if is_bare and (pc.min(pc.binary_length(text)).as_py() or text.null_count == len(text)):
        return text
    doubled = pc.replace_substring(text, '"', '""')
    quoted = pc.binary_join_element_wise('"', doubled, '"', "")
    return pc.if_else(pc.match_substring_regex(text, '[",\r\n]|^$'), quoted, text)


def _take_text(text: Any) -> memoryview:
    """What the strings of an array are, one after the other."""
    _, offsets, content = text.buffers()
    ends = memoryview(offsets).cast("i")
    start, end = ends[text.offset], ends[text.offset + len(text)]
    return memoryview(content)[start:end] if content else memoryview(b"")


UNANSWERED = ',{"prediction_class":null,"probabilities":null}'


def write_predictions(rows: Rows, answers: Answers, _: Any) -> Pieces:
    """JSON, an object for each row."""
    yield f'{answers.open_envelope()},"predictions":['.encode()
    skipped = 1  # no comma before the first
    for chunk in rows:
        yield _take_text(_to_objects(chunk.answers, answers))[skipped:]
        skipped = 0
    yield b"]}"


def _to_objects(columns: list[Any], answers: Answers) -> Any:
    labels, *probabilities = columns
    text: list[Any] = [',{"prediction_class":', answers.json_labels.take(labels.indices)]
    if probabilities:
        keys = [f"{json.dumps(name)}:" for name in answers.classes]
        starts = [',"probabilities":{' + keys[0], *(f",{key}" for key in keys[1:])]
        for start, column in zip(starts, probabilities, strict=True):
            text += [start, column.cast(pa.string())]
        text.append("}}")
    else:
        text.append(',"probabilities":null}')
    return pc.binary_join_element_wise(*text, "").fill_null(UNANSWERED)


def write_columns(rows: Rows, answers: Answers, _: Any) -> Pieces:
    """JSON, a list for each column; raises TableTooLarge where that is too much to hold."""
    kept: list[list[Any]] = []
    cells = 0
    for chunk in rows:
        cells += chunk.sent.num_rows * len(chunk.answers)
        if cells > CELLS_AT_ONCE:
            raise TableTooLarge("The answer is too large for columns of JSON. Accept another type.")
        kept.append(chunk.answers)
    start = f'{answers.open_envelope()},"columns":{{'
    for place, name in enumerate(answers.names):
        yield f"{start}{json.dumps(name)}:[".encode()
        yield from _write_list([chunk[place] for chunk in kept], answers)
        start = "],"
    yield b"]}}"


def _write_list(columns: list[Any], answers: Answers) -> Pieces:
    skipped = 1
    for column in columns:
        is_label = pa.types.is_dictionary(column.type)
        text = answers.json_labels.take(column.indices) if is_label else column.cast(pa.string())
        yield _take_text(pc.binary_join_element_wise(",", text.fill_null("null"), ""))[skipped:]
        skipped = 0


WRITERS: dict[Format, WriteRows] = {
    Format.ARROW: write_arrow,
    Format.CSV: write_csv,
    Format.JSON: write_predictions,
    Format.PARQUET: write_parquet,
}
