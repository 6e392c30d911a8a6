import os
import signal
from pathlib import Path

import numpy as np
import pytest

import sandbox
from errors import ModelRefused


def devour():
    return len([np.ones(2**22) for _ in range(100)])


def multiply():
    return float((np.ones((500, 500)) @ np.ones((500, 500))).sum())


def count_files():
    return len(list(Path("/dev/fd").iterdir()))


def refuse():
    raise ModelRefused("pickle", "no")


@pytest.mark.parametrize(
    ("function", "error"),
    [(refuse, ModelRefused), (os.abort, sandbox.Crashed), (signal.pause, sandbox.TimedOut)],
)
def test_what_it_raises_comes_back_and_a_crash_or_a_hang_ends_only_itself(function, error):
    with pytest.raises(error):
        sandbox.call(function, seconds=10 if function is not signal.pause else 0.2)


def test_a_result_comes_back():
    assert sandbox.call(divmod, 85, 2, seconds=10) == (42, 1)


def test_memory_has_an_end(monkeypatch):
    monkeypatch.setattr(sandbox, "MEMORY", 2**28)

    with pytest.raises(MemoryError):
        sandbox.call(devour, seconds=60)


def test_linear_algebra_does_not_hang_after_a_fork():
    multiply()

    assert sandbox.call(multiply, seconds=30) == 500.0**3


def test_connections_of_the_server_are_let_go(tmp_path):
    with (tmp_path / "open").open("w"):
        assert sandbox.call(count_files, seconds=10) <= 5
