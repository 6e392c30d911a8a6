"""Writes scored rows as CSV or Parquet."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from errors import CommandFailed
from inputs import KINDS, Feature
from predictions import PROBABILITY, make_fields, name_columns

Format = Literal["csv", "parquet"]

BARE = csv.WriteOptions(include_header=False, quoting_style="none")
QUOTED = csv.WriteOptions(include_header=False, quoting_style="needed")


class UnwritableColumn(CommandFailed):
    """A column has no place in what is to be written; the message names it."""


def make_schema(sent: Any, features: Sequence[Feature], classes: Sequence[str]) -> Any:
    """Columns as they were sent, the features of these as they were read, and the answers."""
    kinds = {feature.name: KINDS[feature.type] for feature in features}
    # Whatever is declared to have no nulls may have some all the same.
    fields = [pa.field(it.name, kinds.get(it.name, it.type)) for it in sent]
    return pa.schema([*fields, *make_fields(classes)], sent.metadata)


def require_writable(sent: Any, classes: Sequence[str], wanted: Format) -> None:
    """Raises UnwritableColumn."""
    for name in name_columns(classes):
        if name in sent.names:
            raise UnwritableColumn(f"{name} is a column of the answer. Rename or drop it.")
    if wanted == "parquet":
        return
    for field in sent:
        if pa.types.is_nested(field.type):
            said = f"{field.name} is of type {field.type}, which CSV does not hold"
            raise UnwritableColumn(f"{said}. Drop it, or let OUT be Parquet.")


@contextmanager
def writing(path: Path, schema: Any, wanted: Format) -> Iterator[Callable[[Any], None]]:
    """A function that writes a batch of rows of the schema."""
    if wanted == "csv":
        with path.open("wb") as file:
            file.write(make_header(schema.names))
            yield lambda rows: _write_csv(rows, file)
        return
    with pq.ParquetWriter(path, schema, **find_encoding(schema)) as parquet:
        yield lambda rows: parquet.write_batch(rows) if rows.num_rows else None


def find_encoding(schema: Any) -> dict[str, Any]:
    """Options of Parquet: probabilities hardly repeat, so packing them takes time for nothing."""
    repeating = [it for it in schema.names if not it.startswith(PROBABILITY)]
    codecs = {it: "snappy" if it in repeating else "none" for it in schema.names}
    return {"use_dictionary": repeating, "compression": codecs}


def make_header(names: Sequence[str]) -> bytes:
    cells = [f'"{name.replace(chr(34), chr(34) * 2)}"' if _is_odd(name) else name for name in names]
    return (",".join(cells) + "\n").encode()


def _is_odd(name: str) -> bool:
    return not name or any(mark in name for mark in '",\r\n')


def _write_csv(rows: Any, file: Any) -> None:
    """Quoted only where that is needed, which pyarrow finds out for all cells or none."""
    sent = rows.columns
    columns = [it.dictionary_decode() if pa.types.is_dictionary(it.type) else it for it in sent]
    plain = pa.RecordBatch.from_arrays(columns, rows.schema.names)
    written = pa.BufferOutputStream()
    try:
        csv.write_csv(plain, written, BARE)
    except pa.ArrowInvalid:
        written = pa.BufferOutputStream()
        csv.write_csv(plain, written, QUOTED)
    file.write(written.getvalue())
