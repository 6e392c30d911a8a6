"""Counts the rows a model has answered, by class."""

from operator import add
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class ClassCounts:
    """Of one model, from when it was loaded."""

    def __init__(self, classes: list[str]) -> None:
        # No update is lost: only the event loop's thread adds to `singles`, which therefore need no
        # lock; tables, which other threads score, are counted apart and behind one.
        self.singles = [0] * len(classes)
        self._tables = np.zeros(len(classes), dtype=np.int64)
        self._lock = Lock()
        self._classes = classes

    def add_table(self, indices: Array) -> None:
        """Class indices, shape (n,), from any thread; -1 stands for no answer, and is left out."""
        found = np.bincount(indices[indices >= 0], minlength=len(self._classes))
        with self._lock:
            self._tables += found

    def by_class(self) -> dict[str, int]:
        with self._lock:
            tables = self._tables.tolist()
        return dict(zip(self._classes, map(add, self.singles, tables), strict=True))
