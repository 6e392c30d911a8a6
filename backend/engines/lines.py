"""Makes a row of an instance, each feature by itself: a number adds a line, anything else a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]
Layer = tuple[Array, Array]  # weights, shape (s, n), and intercepts, shape (s,), of n numbers


@dataclass
class Special:
    """The places of the rows that stand for a feature's text, and for no value.

    None if the model's steps refuse such a value.
    """

    texts: dict[str, int]
    unknown: int | None
    missing: int | None

    def find(self, value: str | None) -> int | None:
        return self.missing if value is None else self.texts.get(value, self.unknown)


Specials = Sequence[tuple[int, Special]]  # with the place of each among the features


def look_up(specials: Specials, values: list[Any]) -> tuple[list[Any], list[int]] | None:
    """The values, 0 in place of those that are not numbers, and the rows that stand for these.

    None if one is refused.
    """
    numbers, rows = values.copy(), []
    for index, special in specials:
        value = values[index]
        if value is None or isinstance(value, str):
            if (row := special.find(value)) is None:
                return None
            numbers[index] = 0.0
            rows.append(row)
    return numbers, rows


@dataclass
class Lines:
    """A layer over the features' numbers, and rows, shape (r, s), that other values add to it."""

    layer: Layer
    rows: Array
    specials: Specials

    def follow(self, values: list[Any]) -> Array | None:
        """Shape (s,); None if a value is refused."""
        if (found := look_up(self.specials, values)) is None:
            return None
        numbers, places = found
        weights, intercept = self.layer
        added: Array = weights.dot(numbers) + intercept
        for place in places:
            added += self.rows[place]
        return added
