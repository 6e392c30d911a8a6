"""Adds up what a soak has found, and says what of it must not be."""

import statistics
from collections import Counter, defaultdict
from typing import NamedTuple

import numpy as np
from callers import Outcome
from shipped import Held
from verdicts import Journal, Ledger
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
    ledger: Ledger
    journal: Journal
    samples: list[Sample]
    before: Held
    after: Held
    lost: int


def sort_out(phase: Phase) -> tuple[Counter[str], list[Outcome]]:
    """What may go wrong, by its reason, and what may not."""
    excused: Counter[str] = Counter()
    findings = []
    for outcome in phase.ledger.faulty:
        reason = find_excuse(outcome, phase)
        if reason:
            excused[reason] += 1
        else:
            findings.append(outcome)
    return excused, findings


def find_excuse(outcome: Outcome, phase: Phase) -> str | None:
    if any(window.meets(outcome) for window in phase.world.restarts):
        return RESTART
    is_away = any(window.meets(outcome) for window in phase.world.journal_away)
    if outcome.status == 503 and outcome.kind in FEEDBACK and is_away:
        return AWAY
    if outcome.status == 503 and "Too many batches" in str(outcome.fault):
        return BUSY
    is_lost = outcome.label is not None and outcome.label[0] in phase.journal.excused
    return FORGOTTEN if outcome.status == 404 and is_lost else None


def find_slope(samples: list[Sample]) -> tuple[float, float, float, float]:
    """MB an hour by least squares, MB at both ends, and minutes, of the longest life.

    Its beginning, while it warms up, is left out.
    """
    by_pid: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_pid[sample.pid].append(sample)
    life = max(by_pid.values(), key=lambda it: it[-1].moment - it[0].moment)
    warm = life[int(len(life) * WARM_SHARE) :]
    moments = np.array([it.moment for it in warm]) - warm[0].moment
    slope, _ = np.polyfit(moments / 3600, [it.memory for it in warm], 1)
    some = max(len(warm) // 10, 1)
    start, end = (statistics.mean(it.memory for it in part) for part in (warm[:some], warm[-some:]))
    return float(slope), start, end, float(moments[-1]) / 60


def describe(phase: Phase) -> dict[str, str]:
    """The figures of a phase, by what they are."""
    excused, findings = sort_out(phase)
    p50, p99 = np.percentile(phase.ledger.seconds, [50, 99]) * 1000
    slope, start, end, minutes = find_slope(phase.samples)
    judge, before, after = phase.world.judge, phase.before, phase.after
    return {
        "requests": f"{phase.ledger.kinds.total():,}",
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
    answered, written = (
        sum(getattr(it, name) for it in tables) for name in ("answered", "written")
    )
    excused = singles.excused + sum(it.excused for it in tables)
    rows = f"{singles.answered:,}, {singles.written:,}"
    return {
        "predictions of one row, answered and written": rows,
        "tables and the open protocol, answered and written": f"{answered:,}, {written:,}",
        "lost in the last second before a kill": f"{excused:,}",
        "**lost otherwise**": f"{count_lost(phase):,}",
        "labels recorded": f"{len(phase.ledger.labels):,}",
        "**journal entries and labels that are wrong**": f"{len(phase.journal.wrong):,}",
    }


def count_lost(phase: Phase) -> int:
    found = [phase.journal.singles, *phase.journal.tables.values()]
    return sum(it.lost for it in found) + phase.lost


def report(phases: list[Phase], events: list[Event]) -> None:
    described = [describe(phase) for phase in phases]
    _print_table("", [phase.name for phase in phases], described)
    print()
    counts = [{kind: f"{n:,}" for kind, n in it.ledger.kinds.items()} for it in phases]
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
    rows = sorted({name for it in columns for name in it}) if title else list(columns[0])
    for name in rows:
        print(f"| {name} | {' | '.join(it.get(name, '0') for it in columns)} |")


def list_faults(phase: Phase) -> list[str]:
    """All that is wrong and must not be, a few examples of each."""
    _, findings = sort_out(phase)
    said = [f"{it.kind}, {it.ended - it.started:.1f} s: {it.fault}" for it in findings]
    backend = phase.world.backend
    faults = [
        *phase.world.judge.wrong[:SHOWN],
        *[f"{count} × {it}" for it, count in Counter(said).most_common(SHOWN)],
        *phase.journal.wrong[:SHOWN],
        *[f"in the log: {it}" for it in Counter(backend.find_tracebacks())],
    ]
    if count_lost(phase):
        faults.append(f"{count_lost(phase)} predictions are lost")
    if phase.after.descriptors > phase.before.descriptors:
        faults.append(f"open files: {phase.before} before, {phase.after} after")
    return [f"{phase.name}: {it}" for it in faults]
