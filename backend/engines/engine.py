"""What a compiled model can be asked."""

from typing import Protocol

from schemas import EngineName

# Of one instance, in the order of the classes; None where the estimator itself has to be asked.
Probabilities = list[float] | None


class NotCompiled(Exception):
    """There is no compiled form that is known to be exact; the message says why."""


class Engine(Protocol):
    """Answers as the estimator it was compiled from; `detail` says what it was compiled to.

    It has a `predict_one(values)`, or a `predict_many(instances)` if a call for several instances
    is cheaper than one for each.
    """

    name: EngineName
    detail: str
