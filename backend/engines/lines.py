"""Makes a row of an instance, each feature by itself: a number adds a line, anything else a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]
Layer = tuple[Array, Array]  # weights, shape (s, n), and intercepts, shape (s,), of n numbers

UNKNOWN = "\ufffe"  # no character, so no table's category

# Stand for a feature's texts, for any other text, and for no value.
Special = dict[str | None, Any]


def find(special: Special, value: str | None) -> Any:
    """None if the model's steps refuse the value."""
    return special.get(value, None if value is None else special.get(UNKNOWN))


@dataclass
class Lines:
    """A layer over the features' numbers, and rows, shape (s,), that other values add to it.

    `specials` has the places of the features that can have such values.
    """

    layer: Layer
    specials: Sequence[tuple[int, Special]]

    def look_up(self, values: list[Any]) -> tuple[list[Any], list[Array]] | None:
        """The values, 0 for those that are no numbers, and the rows that stand for these.

        None if one is refused.
        """
        numbers, rows = values.copy(), []
        for index, special in self.specials:
            value = values[index]
            if value is None or isinstance(value, str):
                if (row := find(special, value)) is None:
                    return None
                numbers[index] = 0.0
                rows.append(row)
        return numbers, rows

    def follow(self, values: list[Any]) -> Array | None:
        """Shape (s,); None if a value is refused."""
        if (found := self.look_up(values)) is None:
            return None
        numbers, rows = found
        weights, intercept = self.layer
        added: Array = sum(rows, weights.dot(numbers) + intercept)
        return added
