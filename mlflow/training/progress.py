"""Shows how far a comparison is."""

import time
from collections import defaultdict
from typing import TextIO

from running.cores import Failure
from training.comparison import Task
from training.evaluation import Score

BAR_WIDTH = 24  # characters


class Progress:
    """A bar that is drawn anew on a terminal, and elsewhere a line for each candidate's end."""

    def __init__(self, tasks: list[Task], cores: int, output: TextIO) -> None:
        self._left: dict[str, int] = defaultdict(int)
        for task in tasks:
            self._left[task.name] += 1
        self._total = len(tasks)
        self._cores = cores
        self._output = output
        self._seconds: dict[str, float] = {}
        self._started = time.monotonic()

    def report(self, task: Task, outcome: Score | Failure) -> None:
        """Take note of a task that is done."""
        self._left[task.name] -= 1
        if isinstance(outcome, Score):
            self._seconds[task.name] = outcome.fit_seconds + outcome.predict_seconds
        if self._output.isatty():
            self._draw(task.name)
        elif self._left[task.name] == 0:
            print(f"  {task.name} done{self._time_left()}", file=self._output, flush=True)

    def clear(self) -> None:
        """Leave the line to what is written next."""
        if self._output.isatty():
            print("\r\033[K", end="", file=self._output, flush=True)

    def _draw(self, name: str) -> None:
        done = self._total - sum(self._left.values())
        filled = BAR_WIDTH * done // self._total
        bar = "█" * filled + "░" * (BAR_WIDTH - filled)
        line = f"{bar} {done}/{self._total} {name}{self._time_left()}"
        print(f"\r\033[K{line}", end="", file=self._output, flush=True)

    def _time_left(self) -> str:
        """From what one fold of each candidate took; nothing until that is known of all."""
        left = {name: count for name, count in self._left.items() if count}
        if not left or not left.keys() <= self._seconds.keys():
            return ""
        seconds = sum(count * self._seconds[name] for name, count in left.items()) / self._cores
        return f", about {seconds:.0f} s left"
