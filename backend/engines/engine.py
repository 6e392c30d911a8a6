"""The questions that a model answers in this process."""

from collections.abc import Sequence
from typing import Any

from schemas import EngineName

# Of one instance, in the order of the classes; None where the estimator itself has to be asked.
Probabilities = list[float] | None


class NotCompiled(Exception):
    """There is no compiled form that is known to be exact; the message says why."""


class Engine:
    """Answers as the estimator that it was compiled from; this one answers nothing."""

    name: EngineName = "scikit-learn"
    detail = "It has not been compiled."

    def predict_one(self, values: list[Any]) -> Probabilities:
        """Return nothing where one call of `predict_many` for several instances is cheaper."""

    def predict_many(self, instances: Sequence[list[Any]]) -> list[Probabilities]:
        return [self.predict_one(values) for values in instances]
