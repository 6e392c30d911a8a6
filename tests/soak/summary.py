"""Adds up what a soak has found, and says what of it must not be."""

import statistics
from collections import Counter, defaultdict
from itertools import groupby
from typing import NamedTuple

import numpy as np
from callers import Attempt
from shipped import Held
from verdicts import Attempts, JournalCheck
from world import Event, World

WARM_SHARE = 1 / 3  # of the life of the process whose memory is looked at
SHOWN = 10
FEEDBACK = ("/feedback", "wrong /feedback")
RESTART = "failed while the backend was killed and started"
AWAY = "503 of `/feedback` while its database was away"
BUSY = "503 of `/predict/batch`, as eight tables were waiting"
FORGOTTEN = "404 of `/feedback` for what was lost in a kill"


class Sample(NamedTuple):
    """Megabytes at a moment of the monotonic clock."""

    moment: float
    pid: int
    memory: float
    writer: float


class Phase(NamedTuple):
    """What is known at the end of a load on one journal."""

    name: str
    world: World
    attempts: Attempts
    journal: JournalCheck
    samples: list[Sample]
    before: Held
    after: Held
    lost: int


def sort_out(phase: Phase) -> tuple[Counter[str], list[Attempt]]:
    """What may go wrong, by its reason, and what may not."""
    excused: Counter[str] = Counter()
    findings = []
    for attempt in phase.attempts.flawed:
        reason = find_excuse(attempt, phase)
        if reason:
            excused[reason] += 1
        else:
            findings.append(attempt)
    return excused, findings


def find_excuse(attempt: Attempt, phase: Phase) -> str | None:
    if any(window.meets(attempt) for window in phase.world.restarts):
        return RESTART
    is_away = any(window.meets(attempt) for window in phase.world.journal_away)
    if attempt.status == 503 and attempt.kind in FEEDBACK and is_away:
        return AWAY
    if attempt.status == 503 and "Too many batches" in str(attempt.flaw):
        return BUSY
    is_lost = attempt.label is not None and attempt.label[0] in phase.journal.excused
    return FORGOTTEN if attempt.status == 404 and is_lost else None


def find_slope(samples: list[Sample]) -> tuple[float, float, float, float]:
    """MB an hour by least squares, MB at both ends, and minutes, of the longest life.

    Its beginning, while it warms up, is left out.
    """
    lives = [list(life) for _, life in groupby(samples, lambda sample: sample.pid)]
    life = max(lives, key=lambda life: life[-1].moment - life[0].moment)
    warm = life[int(len(life) * WARM_SHARE) :]
    moments = np.array([sample.moment for sample in warm]) - warm[0].moment
    memory = [sample.memory for sample in warm]
    slope, _ = np.polyfit(moments / 3600, memory, 1)
    some = max(len(warm) // 10, 1)
    start, end = statistics.mean(memory[:some]), statistics.mean(memory[-some:])
    return float(slope), start, end, float(moments[-1]) / 60


def describe(phase: Phase) -> dict[str, str]:
    """The figures of a phase, by what they are."""
    excused, findings = sort_out(phase)
    p50, p99 = np.percentile(phase.attempts.seconds, [50, 99]) * 1000
    slope, start, end, minutes = find_slope(phase.samples)
    judge, before, after = phase.world.judge, phase.before, phase.after
    return {
        "requests": f"{phase.attempts.kinds.total():,}",
        "rows compared with their pickles": f"{judge.rows:,}",
        "**wrong predictions**": f"{len(judge.wrong):,}",
        "**failed requests and unexpected answers**": f"{len(findings):,}",
        **{name: f"{excused[name]:,}" for name in (RESTART, AWAY, BUSY, FORGOTTEN)},
        **describe_journal(phase),
        "p50 of a plain prediction": f"{p50:.1f} ms",
        "p99 of a plain prediction": f"{p99:.1f} ms",
        "the worker's memory": f"{start:.0f} → {end:.0f} MB in {minutes:.1f} minutes",
        "its slope": f"{slope:+.0f} MB an hour" if minutes >= 2 else "too short to tell",
        "open files, beside the journal's": f"{before.descriptors} → {after.descriptors}",
        "threads": f"{before.threads} → {after.threads}",
    }


def describe_journal(phase: Phase) -> dict[str, str]:
    singles, tables = phase.journal.singles, phase.journal.tables.values()
    answered = sum(kind.answered for kind in tables)
    written = sum(kind.written for kind in tables)
    excused = singles.excused + sum(kind.excused for kind in tables)
    rows = f"{singles.answered:,}, {singles.written:,}"
    return {
        "predictions of one row, answered and written": rows,
        "tables and the open protocol, answered and written": f"{answered:,}, {written:,}",
        "lost in the last second before a kill": f"{excused:,}",
        "**lost otherwise**": f"{count_lost(phase):,}",
        "labels recorded": f"{len(phase.attempts.labels):,}",
        "**journal entries and labels that are wrong**": f"{len(phase.journal.wrong):,}",
    }


def count_lost(phase: Phase) -> int:
    kinds = [phase.journal.singles, *phase.journal.tables.values()]
    return sum(kind.lost for kind in kinds) + phase.lost


def report(phases: list[Phase], events: list[Event]) -> None:
    described = [describe(phase) for phase in phases]
    _print_table("", [phase.name for phase in phases], described)
    print()
    counts = [{kind: f"{n:,}" for kind, n in phase.attempts.kinds.items()} for phase in phases]
    _print_table("requests", [phase.name for phase in phases], counts)
    print("\n| what happened | times | median s | longest s |\n| --- | ---: | ---: | ---: |")
    by_what: dict[str, list[float]] = defaultdict(list)
    for event in events:
        by_what[event.what] += [] if event.seconds is None else [event.seconds]
    for what, seconds in by_what.items():
        longest, median = max(seconds, default=0), statistics.median(seconds or [0])
        print(f"| {what} | {len(seconds)} | {median:.1f} | {longest:.1f} |")


def _print_table(title: str, names: list[str], columns: list[dict[str, str]]) -> None:
    print(f"| {title} | {' | '.join(names)} |\n| --- |{' ---: |' * len(names)}")
    rows = sorted(set().union(*columns)) if title else list(columns[0])
    for name in rows:
        print(f"| {name} | {' | '.join(column.get(name, '0') for column in columns)} |")


def list_flaws(phase: Phase) -> list[str]:
    """All that is wrong and must not be, a few examples of each."""
    _, findings = sort_out(phase)
    said = [f"{one.kind}, {one.ended - one.started:.1f} s: {one.flaw}" for one in findings]
    backend = phase.world.backend
    flaws = [
        *phase.world.judge.wrong[:SHOWN],
        *[f"{count} × {what}" for what, count in Counter(said).most_common(SHOWN)],
        *phase.journal.wrong[:SHOWN],
        *[f"in the log: {line}" for line in Counter(backend.find_tracebacks())],
    ]
    if count_lost(phase):
        flaws.append(f"{count_lost(phase)} predictions are lost")
    if phase.after.descriptors > phase.before.descriptors:
        flaws.append(f"open files: {phase.before} before, {phase.after} after")
    return [f"{phase.name}: {flaw}" for flaw in flaws]
