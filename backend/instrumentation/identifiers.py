"""Makes identifiers that sort by the time they were made at."""

from collections.abc import Iterator
from datetime import UTC, datetime
from os import urandom
from time import time

TIME_DIGITS = 12  # hexadecimal, of milliseconds: until the year 10889
RANDOM_BYTES = 10
POOL = 256  # asking the system for randomness costs more than all the rest

_SPAN = 2 * RANDOM_BYTES


class Identifiers:
    """32 hexadecimal digits each: milliseconds since 1970, then 80 random bits.

    A database takes them in as they come, without looking for their place.
    """

    def __init__(self) -> None:
        self._until = 0.0
        self._prefix = ""
        self._pool: Iterator[str] = iter(())

    def make(self) -> str:
        now = time()
        if now >= self._until or now < self._until - 1:  # the clock may be set back
            milliseconds = int(now * 1000)
            self._until = (milliseconds + 1) / 1000
            self._prefix = begin_at(milliseconds)
        return self._prefix + self._draw()

    def _draw(self) -> str:
        """From any thread; none is drawn twice, as taking the next one cannot be interrupted."""
        for drawn in self._pool:
            return drawn
        digits = urandom(POOL * RANDOM_BYTES).hex()
        pool = iter([digits[start : start + _SPAN] for start in range(0, len(digits), _SPAN)])
        drawn = next(pool)
        self._pool = pool
        return drawn


def begin_at(milliseconds: int) -> str:
    """What identifiers of that moment begin with."""
    return f"{milliseconds:0{TIME_DIGITS}x}"


def read_milliseconds(identifier: str) -> int:
    """Since 1970; raises ValueError where it is none of ours."""
    return int(identifier[:TIME_DIGITS], 16)


def read_time(identifier: str) -> datetime:
    """Raises ValueError where it is none of ours."""
    return datetime.fromtimestamp(read_milliseconds(identifier) / 1000, UTC)


make_identifier = Identifiers().make
