"""What the command line decides about a table's columns."""

from argparse import Namespace
from collections.abc import Sequence
from typing import NamedTuple


class Choices(NamedTuple):
    """Columns by name.

    `drop` are left out, `categories` are codes and not quantities, and `keep` stay though they
    seem to number the rows or to be the answer. `merge_rare` makes one class of the rare ones.
    """

    drop: Sequence[str] = ()
    categories: Sequence[str] = ()
    keep: Sequence[str] = ()
    merge_rare: bool = False

    @classmethod
    def of(cls, arguments: Namespace) -> "Choices":
        """Those of the command line."""
        return cls(arguments.drop, arguments.category, arguments.keep, arguments.merge_rare)


NO_CHOICES = Choices()
