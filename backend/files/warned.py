"""What the answers of a scoring warn of: adds it up, and says it."""

from collections import Counter
from collections.abc import Iterable

from features.warnings import REASONS, Warnings

SHOWN_COLUMNS = 20
WORDS = dict(
    zip(REASONS, ("with unknown values", "with missing values", "out of range"), strict=True)
)


def add_warnings(parts: Iterable[Warnings]) -> Warnings:
    added: dict[str, Counter[str]] = {}
    for warnings in parts:
        for name, counts in warnings.items():
            added.setdefault(name, Counter()).update(counts)
    return {name: dict(counts) for name, counts in added.items()}


def tell_warnings(warnings: Warnings) -> str:
    """Name the columns with the most such rows; empty if there are none."""
    by_rows = sorted(warnings, key=lambda name: -sum(warnings[name].values()))
    said = [f"{name}: {_tell_counts(warnings[name])}." for name in by_rows[:SHOWN_COLUMNS]]
    if more := len(by_rows) - len(said):
        said.append(f"{more:,} more columns have such rows.")
    return " ".join(said)


def _tell_counts(counts: dict[str, int]) -> str:
    """3 rows with unknown values, 1 out of range."""
    said = ", ".join(f"{counts[it]:,} {words}" for it, words in WORDS.items() if it in counts)
    rows, _, rest = said.partition(" ")
    return f"{rows} {'row' if rows == '1' else 'rows'} {rest}"
