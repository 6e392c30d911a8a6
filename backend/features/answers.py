"""Names the columns that an answer adds to a table."""

from collections.abc import Collection, Iterator, Sequence
from itertools import count

CLASS = "prediction_class"
PROBABILITY = "probability_"  # and the class
RENAMED = "model_"  # before every name, as often as it takes, if the table has one of them


def name_answers(classes: Sequence[str]) -> list[str]:
    """Return the names for a model with these classes; none if it has no probabilities."""
    return [CLASS, *(f"{PROBABILITY}{name}" for name in classes)]


def rename(names: Sequence[str], times: int) -> Iterator[str]:
    return (f"{RENAMED * times}{name}" for name in names)


def count_renamings(names: Sequence[str], taken: Collection[str]) -> int:
    """Return how often the names need renaming until none of them is taken."""
    free = set(taken).isdisjoint
    return next(times for times in count() if free(rename(names, times)))
