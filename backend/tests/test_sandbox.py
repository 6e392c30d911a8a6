import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import sandbox
from errors import ModelRefused


def double(number):
    return 2 * number


def refuse():
    raise ModelRefused("pickle", "no")


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def hang():
    while True:
        time.sleep(1)


def devour():
    return len([np.ones(2**22) for _ in range(100)])


def multiply():
    return float((np.ones((500, 500)) @ np.ones((500, 500))).sum())


def count_files():
    return len(list(Path("/dev/fd").iterdir()))


def test_a_result_comes_back():
    assert sandbox.call(double, 21, seconds=10) == 42


def test_what_it_raises_comes_back():
    with pytest.raises(ModelRefused, match="no"):
        sandbox.call(refuse, seconds=10)


def test_a_crash_is_only_its_own():
    with pytest.raises(sandbox.Crashed):
        sandbox.call(crash, seconds=10)


def test_a_hanging_process_is_ended():
    with pytest.raises(sandbox.TimedOut):
        sandbox.call(hang, seconds=0.2)


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
