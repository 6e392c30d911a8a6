"""Puts names and numbers into sentences."""

from collections.abc import Iterable
from typing import Any


def quote(name: Any) -> str:
    """A column's name as an argument of a command."""
    text = str(name)
    return text if text.isidentifier() else f"'{text}'"


def count(number: int, noun: str) -> str:
    """A number of things, as in "1 row" and "2,000 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def enumerate_all(things: Iterable[Any], last: str = "and") -> str:
    """Things as a sentence names them: "1, 2 and 3"."""
    *others, final = map(str, things)
    return f"{', '.join(others)} {last} {final}" if others else final
