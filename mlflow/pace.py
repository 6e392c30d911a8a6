"""Shows how far a scoring is, and how fast it goes."""

import time
from typing import NamedTuple, TextIO

BAR_WIDTH = 24  # characters
SECONDS_BETWEEN_LINES = 10.0


class _Done(NamedTuple):
    size: int = 0
    rows: int = 0
    bad: int = 0


class Pace:
    """A bar that is drawn anew on a terminal, and elsewhere a line now and then.

    Sizes are in bytes of what is read, rows those of this run.
    """

    def __init__(self, size: int, output: TextIO) -> None:
        self._size = size
        self._output = output
        self._before = 0
        self._done = _Done()
        self._started = self._said = time.monotonic()

    def skip(self, size: int) -> None:
        """Take note of what an earlier run has done."""
        self._before += size

    def report(self, size: int, rows: int, bad: int) -> None:
        """Take note of a part that is done."""
        done = self._done
        self._done = _Done(done.size + size, done.rows + rows, done.bad + bad)
        now = time.monotonic()
        if self._output.isatty():
            print(f"\r\033[K{self._draw()}", end="", file=self._output, flush=True)
        elif now - self._said >= SECONDS_BETWEEN_LINES:
            self._said = now
            print(f"  {self._tell()}", file=self._output, flush=True)

    def clear(self) -> None:
        """Leave the line to what is written next."""
        if self._output.isatty():
            print("\r\033[K", end="", file=self._output, flush=True)

    @property
    def rows_per_second(self) -> float:
        return self._done.rows / max(time.monotonic() - self._started, 1e-9)

    @property
    def share(self) -> float:
        return min(1.0, (self._before + self._done.size) / max(1, self._size))

    def _draw(self) -> str:
        filled = int(BAR_WIDTH * self.share)
        return "█" * filled + "░" * (BAR_WIDTH - filled) + f" {self._tell()}"

    def _tell(self) -> str:
        bad = f", {self._done.bad:,} bad" if self._done.bad else ""
        return (
            f"{self.share:.0%}: {self._done.rows:,} rows{bad}, {self.rows_per_second:,.0f} a second"
            f"{self._time_left()}"
        )

    def _time_left(self) -> str:
        left = max(0, self._size - self._before - self._done.size)
        if not left or not self._done.size:
            return ""
        seconds = left * (time.monotonic() - self._started) / self._done.size
        return f", about {seconds:,.0f} s left"
