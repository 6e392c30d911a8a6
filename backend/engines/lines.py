"""Makes a row of an instance, each feature by itself: a number adds a line, anything else a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Layer = tuple[Array, Array]  # weights, shape (s, n), and intercepts, shape (s,), of n numbers

UNKNOWN = "\ufffe"  # no character, so no table's category

# The values, 0 for those that are no numbers, and the rows that stand for these.
Numbers = tuple[list[Any], list[Array]]

# Stand for a feature's texts, for any other text, and for no value.
Special = dict[str | None, Any]


def find(special: Special, value: str | None) -> Any:
    """None if the model's steps refuse the value."""
    return special.get(value, None if value is None else special.get(UNKNOWN))


@dataclass
class Lines:
    """A layer over the features' numbers, and rows, shape (s,), that other values add to it.

    `specials` has each feature's rows, `texts` the places of those that are no numbers.
    """

    layer: Layer
    specials: Sequence[Special]
    texts: Sequence[int]

    def look_up(self, values: list[Any], places: Sequence[int]) -> Numbers | None:
        """None if one of the values in these places is refused."""
        if not places:
            return values, []
        numbers, rows = values.copy(), []
        for index in places:
            if (row := find(self.specials[index], values[index])) is None:
                return None
            numbers[index] = 0.0
            rows.append(row)
        return numbers, rows

    def follow(self, values: list[Any]) -> Array | None:
        """Shape (s,); None if a value is refused."""
        try:
            return self._add(values, self.texts)
        except TypeError:  # a number is missing
            return self._add(values, find_specials(values))

    def _add(self, values: list[Any], places: Sequence[int]) -> Array | None:
        if (found := self.look_up(values, places)) is None:
            return None
        numbers, rows = np.array(found[0]), found[1]
        if numbers.dtype.hasobject:  # before all weights become objects as well
            raise TypeError
        weights, intercept = self.layer
        added: Array = sum(rows, weights.dot(numbers) + intercept)
        return added


def find_specials(values: list[Any]) -> list[int]:
    """The places of those that are no numbers."""
    return [index for index, it in enumerate(values) if it is None or isinstance(it, str)]
