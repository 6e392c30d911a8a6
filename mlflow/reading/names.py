"""Checks the names of a table's columns."""

from collections import Counter
from collections.abc import Sequence
from itertools import count

from errors import UnusableTable

TITLED = 3  # columns, of which a first name alone is a title


def check_names(names: Sequence[str], advice: str = "Give it one") -> list[str]:
    """Return them trimmed, and a name for a first column without one; raises UnusableTable."""
    names = [name.strip() for name in names]
    if twice := sorted(name for name, times in Counter(names).items() if name and times > 1):
        raise UnusableTable(f"Two columns are named {twice[0]}. Rename one of them.")
    if len(names) >= TITLED and names[0] and not any(names[1:]):
        message = f"The first line holds {names[0]} alone, and names no columns"
        raise UnusableTable(f"{message}. Delete the lines above the header.")
    if "" in names[1:]:
        raise UnusableTable(f"Column {names.index('', 1) + 1} has no name. {advice}.")
    # pandas and R write the number of each row into a first column without a name.
    return [name or _find_free(names) for name in names]


def require_header(names: Sequence[str]) -> None:
    """Raises UnusableTable if a first line is no header, but a row of numbers."""
    if all(map(_is_number, names)):
        raise UnusableTable("The first line holds numbers. Put a line of column names above it.")


def _find_free(names: list[str]) -> str:
    free = (f"row_{number}" for number in count(1))
    return "row" if "row" not in names else next(name for name in free if name not in names)


def _is_number(name: str) -> bool:
    try:
        float(name.replace(",", "."))
    except ValueError:
        return False
    return True
