"""Scores one partition: writes its rows with their answers, complete or not at all."""

import csv
import json
import os
import platform
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from inputs import Array, Fault, Feature, Inputs
from jobs import Record
from predictions import ask, make_columns
from readers import Chunk, read
from sources import Partition, Source
from unpickling import unpickle
from writers import Format, make_schema, writing

NO_ANSWER = "The model has no answer to values this large or this unusual."


class Job(NamedTuple):
    """All that a process has to know, be it on another machine: files are found by their paths."""

    source: Source
    folder: Path
    format: Format
    model: Path
    sha256: str
    version: str
    features: list[Feature]
    classes: list[str]

    def make_inputs(self) -> Inputs:
        """Raises UnusableColumns."""
        is_text = self.source.kind == "csv"
        commas = self.source.delimiter == ";"
        return Inputs(self.features, self.source.schema, is_text, commas)

    @property
    def reads_text(self) -> bool:
        """Whether what is text in the source is written as what it stands for."""
        return self.source.kind == "csv" and self.format == "parquet"

    @property
    def schema(self) -> Any:
        """Of what is written."""
        features = self.features if self.reads_text else []
        return make_schema(self.source.schema, features, self.classes)


class NotReached(Exception):
    """A file is not where it is expected; the message says whose."""


def score(job: Job, partition: Partition) -> Record:
    """Its part, the list of its bad rows and its record are there, in this order, when it returns.

    Raises OSError, ChangedFile or NotReached.
    """
    with _reaching():
        scorer = Scorer(job)
        rows = bad = 0
        with (
            _renamed(job.folder / f".{partition.name}.bad.csv") as faulty,
            _renamed(job.folder / f"{partition.name}.{job.format}") as part,
            faulty.open("w", newline="") as file,
            writing(part, job.schema, job.format) as write,
        ):
            written = csv.writer(file)
            for chunk in read(partition, job.source):
                scored, faults = scorer.score(chunk)
                write(scored)
                written.writerows(faults)
                count = len({fault.row for fault in faults})
                rows, bad = rows + scored.num_rows + count, bad + count
        record = Record(partition.path, rows, bad)
        with _renamed(job.folder / f".{partition.name}.json") as path:
            path.write_text(json.dumps(record._asdict()))
    return record


class Scorer:
    """Asks the model of a job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._inputs = job.make_inputs()
        self._schema = job.schema
        self._estimator = load_model(job.model, job.sha256)

    def score(self, chunk: Chunk) -> tuple[Any, list[Fault]]:
        """Rows with their answers, and what is wrong with the others, in order."""
        cells = self._inputs.convert(chunk.rows)
        found = self._inputs.find_faults(chunk.rows, cells)
        rows = chunk.rows
        if self._job.reads_text:
            rows = self._inputs.replace(rows, cells)
        faults = [*chunk.faults, *_locate(found, chunk.numbers)]
        good = _all_but([places for places, _, _ in found], len(chunk.numbers))
        rows, *cells = _keep(good, [rows, *cells])
        probabilities = ask(self._estimator, self._inputs.to_array(cells), len(self._job.classes))
        unanswered = np.flatnonzero(np.isnan(probabilities[:, 0]))
        if len(unanswered):
            faults += _locate([(unanswered, "", NO_ANSWER)], chunk.numbers[good])
            good = _all_but([unanswered], len(probabilities))
            [rows], probabilities = _keep(good, [rows]), probabilities[good]
        answers = make_columns(probabilities, self._job.classes, self._job.version)
        joined = pa.RecordBatch.from_arrays([*rows.columns, *answers], schema=self._schema)
        return joined, sorted(faults, key=lambda it: it.row)


def _locate(found: list[tuple[Array, str, str]], numbers: Array) -> list[Fault]:
    return [
        Fault(row, column, reason)
        for places, column, reason in found
        for row in numbers[places].tolist()
    ]


def _all_but(places: list[Array], rows: int) -> Array:
    mask = np.ones(rows, dtype=bool)
    for it in places:
        mask[it] = False
    return mask


def _keep(mask: Array, columns: list[Any]) -> list[Any]:
    return columns if mask.all() else [it.filter(pa.array(mask)) for it in columns]


@lru_cache(maxsize=1)
def load_model(path: Path, expected: str) -> Any:
    """The same bytes that were verified, or OSError."""
    pickled = path.read_bytes()
    if sha256(pickled).hexdigest() != expected:
        raise OSError(f"{path} is not the model that was verified")
    return unpickle(pickled)


@contextmanager
def _renamed(path: Path) -> Iterator[Path]:
    """A hidden name of this process's own, on disk and renamed at the end, or gone."""
    temporary = path.with_name(f".{path.name.lstrip('.')}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        message = f"{platform.node()} finds no {error.filename or error}"
        raise NotReached(f"{message}. All that score must see it under this path") from None
