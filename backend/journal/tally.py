"""Counts the rows a version has answered, feature by feature, over a stretch of time."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from binning import Array, ModelBins
from schemas import Description


class Period(NamedTuple):
    """For how many seconds one row of counts goes on."""

    name: str
    seconds: int

    def begin(self, moment: float) -> int:
        """When the stretch that this moment lies in began; both in seconds since 1970."""
        return int(moment // self.seconds * self.seconds)


FINE = Period("minutes", 300)
COARSE = Period("day", 86_400)


class Shadowed(NamedTuple):
    """Rows that a shadow answered, agreed on with the live model, and had no time for."""

    answered: int = 0
    agreed: int = 0
    skipped: int = 0

    def plus(self, other: "Shadowed") -> "Shadowed":
        return Shadowed(*(a + b for a, b in zip(self, other, strict=True)))


class Counted(NamedTuple):
    """What a number of rows add: for each feature its counts, for each class, for each shadow."""

    features: list[Array]
    classes: Array
    shadows: dict[str, Shadowed]


class Tally:
    """Sums of what was counted."""

    def __init__(self, description: Description) -> None:
        self.features = ModelBins(description.features).zeros()
        self.classes = np.zeros(len(description.target.classes), dtype=np.int64)
        self.shadows: dict[str, Shadowed] = {}

    @property
    def rows(self) -> int:
        return int(self.classes.sum())

    def plus(self, counted: Counted) -> "Tally":
        """Another one, so that what cannot be written is not counted either."""
        more = Tally.__new__(Tally)
        pairs = zip(self.features, counted.features, strict=True)
        more.features = [held + counts for held, counts in pairs]
        more.classes = self.classes + counted.classes
        more.shadows = dict(self.shadows)
        for version, shadowed in counted.shadows.items():
            more.shadows[version] = more.shadows.get(version, Shadowed()).plus(shadowed)
        return more

    def plus_written(self, text: str) -> "Tally":
        """With what `write` wrote; of a model of another shape that is left out."""
        found: dict[str, Any] = json.loads(text)
        features = [np.asarray(counts, dtype=np.int64) for counts in found["features"]]
        classes = np.asarray(found["classes"], dtype=np.int64)
        if _shapes([*features, classes]) != _shapes([*self.features, self.classes]):
            return self
        shadows = {version: Shadowed(*counts) for version, counts in found["shadows"].items()}
        return self.plus(Counted(features, classes, shadows))

    def write(self) -> str:
        """As JSON."""
        features = [counts.tolist() for counts in self.features]
        counts = {"features": features, "classes": self.classes.tolist(), "shadows": self.shadows}
        return json.dumps(counts)


def count_classes(description: Description, indices: Sequence[int] | Array) -> Array:
    """Rows by class; -1 stands for no answer, and is left out."""
    found = np.asarray(indices, dtype=np.intp)
    return np.bincount(found[found >= 0], minlength=len(description.target.classes))


def _shapes(arrays: list[Array]) -> list[tuple[int, ...]]:
    return [array.shape for array in arrays]
