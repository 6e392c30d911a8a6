"""Shows how far a scoring is, and how fast it goes."""

import sys
from time import monotonic

BAR_WIDTH = 24  # characters
SECONDS_BETWEEN_LINES = 10.0


class Pace:
    """A bar that is drawn again and again on a terminal, and elsewhere a line now and then.

    Sizes are in bytes of what is read, rows those of this run.
    """

    def __init__(self, size: int) -> None:
        self._size = max(1, size)
        self._before = self._done = self._rows = self._bad = 0
        self._started = self._said = monotonic()

    def skip(self, size: int) -> None:
        """Take note of what an earlier run has done."""
        self._before += size

    def report(self, size: int, rows: int, bad: int) -> None:
        """Take note of a part that is done."""
        self._done, self._rows, self._bad = self._done + size, self._rows + rows, self._bad + bad
        now = monotonic()
        if sys.stdout.isatty():
            filled = int(BAR_WIDTH * self.share)
            bar = "█" * filled + "░" * (BAR_WIDTH - filled)
            print(f"\r\033[K{bar} {self.tell()}", end="", flush=True)
        elif now - self._said >= SECONDS_BETWEEN_LINES:
            self._said = now
            print(f"  {self.tell()}", flush=True)

    def clear(self) -> None:
        """Leave the line to what is written next."""
        if sys.stdout.isatty():
            print("\r\033[K", end="", flush=True)

    @property
    def rows_per_second(self) -> float:
        return self._rows / max(monotonic() - self._started, 1e-9)

    @property
    def share(self) -> float:
        return min(1.0, (self._before + self._done) / self._size)

    def tell(self) -> str:
        bad = f", {self._bad:,} bad" if self._bad else ""
        said = f"{self.share:.0%}: {self._rows:,} rows{bad}, {self.rows_per_second:,.0f} a second"
        if self.share == 1 or not self._done:
            return said
        left = self._size - self._before - self._done
        return f"{said}, about {left * (monotonic() - self._started) / self._done:,.0f} s left"
