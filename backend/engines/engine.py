"""What a compiled model can be asked."""

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from schemas import EngineName

# Of one instance, in the order of the classes; None where the estimator itself has to be asked.
Probabilities = list[float] | None


class Engine(Protocol):
    """Answers as the estimator it was compiled from; `detail` says what it was compiled to."""

    name: ClassVar[EngineName]
    detail: str


class DirectEngine(Engine, Protocol):
    """For which one call for several instances is no cheaper than one for each."""

    def predict_one(self, values: list[Any]) -> Probabilities: ...


class SharedEngine(Engine, Protocol):
    """For which one call for several instances is cheaper."""

    def predict_many(self, instances: Sequence[list[Any]]) -> list[Probabilities]: ...
