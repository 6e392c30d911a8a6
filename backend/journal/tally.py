"""Counts the rows a version has answered, feature by feature, over a stretch of time."""

import json
from typing import NamedTuple

import numpy as np

from features.binning import Array


class Period(NamedTuple):
    """For how many seconds one row of counts goes on."""

    name: str
    seconds: int

    def begin(self, moment: float) -> int:
        """When the stretch that this moment lies in began; both in seconds since 1970."""
        return int(moment // self.seconds * self.seconds)


FINE = Period("minutes", 300)
COARSE = Period("day", 86_400)

NO_SHADOWED = np.zeros(3, np.int64)


class Tally(NamedTuple):
    """Rows by feature and bin, as ModelBins counts them; and by class.

    For each shadow those that it answered, agreed on with the live model, and had no time for.
    """

    features: Array
    classes: Array
    shadows: dict[str, Array]

    @property
    def rows(self) -> int:
        return int(self.classes.sum())

    def plus(self, other: "Tally") -> "Tally":
        shadows = dict(self.shadows)
        for version, counts in other.shadows.items():
            shadows[version] = shadows.get(version, NO_SHADOWED) + counts
        return Tally(self.features + other.features, self.classes + other.classes, shadows)

    def plus_written(self, text: str) -> "Tally":
        """With what `write` wrote; of a model of another shape that is left out."""
        found = json.loads(text)
        # Earlier versions wrote a list for each feature.
        features, classes = np.hstack(found["features"]), np.array(found["classes"])
        if (features.shape, classes.shape) != (self.features.shape, self.classes.shape):
            return self
        shadows = {version: np.array(counts) for version, counts in found["shadows"].items()}
        return self.plus(Tally(features, classes, shadows))

    def write(self) -> str:
        """As JSON."""
        shadows = {version: counts.tolist() for version, counts in self.shadows.items()}
        counts = {"features": self.features.tolist(), "classes": self.classes.tolist()}
        return json.dumps(counts | {"shadows": shadows})
