import multiprocessing
import time
from types import SimpleNamespace

from parallel.cores import run

MEGABYTES_8 = 8 * 1024**2  # as a piece of a compressed table; more than a pipe holds


def count(_, piece):
    return len(piece)


def test_large_tasks_that_are_given_up_hold_nothing_up():
    outcomes = run(count, [bytes(MEGABYTES_8) for _ in range(40)], None)

    _, outcome = next(outcomes)
    outcomes.close()  # waits for ever before Python 3.11.5, where cores.py does not help

    assert outcome == MEGABYTES_8


def never_end(*_):
    time.sleep(3600)  # this is the work


def test_a_deadline_ends_what_runs_and_leaves_no_process_behind():
    tasks = [SimpleNamespace(name="one"), SimpleNamespace(name="other")]

    assert list(run(never_end, tasks, None, time.monotonic() + 1)) == []
    assert multiprocessing.active_children() == []
