"""Scores the parts of a table in waves; its imports take seconds."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cluster import Crew, hire
from errors import CommandFailed
from jobs import Outcome, Output, Record
from pace import Pace
from parts import Job, score
from sources import Partition, open_source
from verification import Selection, load
from workers import Failure
from writers import require_writable

# Limits for each core: no more parts are listed ahead, and no more of their text is held.
PARTITIONS_AHEAD = 32
BYTES_AHEAD = 64 * 1024**2
MAX_BYTES_AHEAD = 256 * 1024**2  # of all cores, as a cluster's scheduler holds them too

SOME_ROWS_ARE_BAD = 3  # an exit code


class ScoringFailed(CommandFailed):
    """A part cannot be scored."""


class Scoring(NamedTuple):
    """A job, where its answers go, who works on it, and how its pace is shown."""

    job: Job
    output: Output
    crew: Crew
    pace: Pace


def run(path: Path, output: Output, selection: Selection) -> int:
    """Score what is at the path and return the exit code; raises CommandFailed or OSError."""
    model = load(*selection)
    if model.remark:
        print(model.remark, file=sys.stderr)
    source = open_source(path, model.features)
    kind = output.ending or source.kind
    job = Job(source, output.folder, kind, output.model, *model.summary)
    job.make_inputs()
    require_writable(source.schema, model.classes, kind)
    identity = {"version": model.version, "sha256": model.sha256, "format": kind}
    with output.begin({**identity, "files": source.identity}):
        print(f"Scoring {path} with model {model.version}.", flush=True)
        if done := output.resume():
            return _account(done, output, "Scored already")
        output.model.write_bytes(model.pickled)
        with hire(os.environ.get("DASK_SCHEDULER_ADDRESS")) as crew:
            if crew.workers:
                print(f"Workers of the cluster: {crew.workers}.", flush=True)
            scoring = Scoring(job, output, crew, Pace(source.size, sys.stdout))
            return _score(scoring)


def _score(scoring: Scoring) -> int:
    job, output, pace = scoring.job, scoring.output, scoring.pace
    try:
        records = dict(sorted(_score_parts(scoring)))
    finally:
        pace.clear()
    job.source.require_same()
    rate = f"{pace.rows_per_second:,.0f} rows a second"
    return _account(output.finish(records, job.format, job.schema), output, f"Scored, {rate}")


def _score_parts(scoring: Scoring) -> Iterator[tuple[str, Record]]:
    """Yield each part with its record, earlier runs' included; raises ScoringFailed."""
    for wave in gather(scoring.job.source.list_partitions(), scoring.crew.cores):
        todo = []
        for partition in wave:
            if record := scoring.output.find_record(partition.name, scoring.job.format):
                scoring.pace.skip(partition.size)
                yield partition.name, record
            else:
                todo.append(partition)
        if todo:
            yield from _score_wave(scoring, todo)
        # Frees this wave's text before the next wave is read.
        wave.clear()
        todo.clear()


def gather(partitions: Iterator[Partition], cores: int) -> Iterator[list[Partition]]:
    """Waves of what may be known of and held at a time."""
    wave, held, most = [], 0, min(BYTES_AHEAD * cores, MAX_BYTES_AHEAD)
    for partition in partitions:
        wave.append(partition)
        held += len(partition.piece or b"")
        if len(wave) >= PARTITIONS_AHEAD * cores or held >= most:
            yield wave
            wave, held = [], 0
    yield wave


def _score_wave(scoring: Scoring, wave: list[Partition]) -> Iterator[tuple[str, Record]]:
    for partition, outcome in scoring.crew.run(score, wave, scoring.job):
        if isinstance(outcome, Failure):
            said = f"Part of {partition.path} cannot be scored: {outcome.reason.rstrip('.')}"
            raise ScoringFailed(f"{said}. Mend that, and the same command goes on from here.")
        scoring.pace.report(partition.size, outcome.rows, outcome.bad)
        yield partition.name, outcome


def _account(outcome: Outcome, output: Output, said: str) -> int:
    good = outcome.rows - outcome.bad
    print(f"{said}: {good:,} of {outcome.rows:,} rows are in {output.path}.")
    if not outcome.bad:
        return 0
    print(f"{outcome.bad:,} bad rows are not, and {output.bad} says why.")
    return SOME_ROWS_ARE_BAD
