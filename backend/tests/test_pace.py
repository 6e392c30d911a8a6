import pytest

from files.pace import Pace


@pytest.fixture
def clock(monkeypatch):
    """Seconds, which pass when they are told to."""
    now = [100.0]
    monkeypatch.setattr("files.pace.monotonic", lambda: now[0])
    return now


def test_a_terminal_sees_share_rate_and_time_left(clock, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    pace = Pace(1000)
    pace.skip(500)

    clock[0] += 10
    pace.report(size=100, rows=2000, bad=3)

    pace.clear()
    shown = capsys.readouterr().out
    assert "60%: 2,000 rows, 3 bad, 200 a second, about 40 s left" in shown
    assert shown.endswith("\r\033[K")


def test_elsewhere_there_is_a_line_now_and_then(clock, capsys):
    pace = Pace(100)

    for _ in range(100):
        clock[0] += 0.5
        pace.report(size=1, rows=10, bad=0)
    pace.clear()

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[0] == "  20%: 200 rows, 20 a second, about 40 s left"


def test_the_end_is_not_beyond_the_whole():
    pace = Pace(10)

    pace.report(size=11, rows=5, bad=0)

    assert pace.share == 1
