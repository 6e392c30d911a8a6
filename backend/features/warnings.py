"""Names how many rows an answer warns of, by feature and reason."""

from collections.abc import Sequence

from features.binning import Array

REASONS = ("unknown", "missing", "out_of_range")

Warnings = dict[str, dict[str, int]]  # rows by feature and reason


def name_warnings(names: Sequence[str], counts: Array) -> Warnings:
    """Return only what was found; the counts have shape (f, 3), in the order of the reasons."""
    return {
        name: {reason: rows for reason, rows in zip(REASONS, found, strict=True) if rows}
        for name, found in zip(names, counts.tolist(), strict=True)
        if any(found)
    }
