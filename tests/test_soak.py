"""Load, faults, nonsense, kills and millions of rows do no harm."""

import os
import signal
import sys

import pytest
from processes import ROOT, running, wait_until
from shell import read

sys.path.append(str(ROOT / "bench"))  # last, as some of its modules are called like ours
from scoring import publish_with_example, score, write_csv, write_parquet

SOAK = pytest.mark.soak
KILLS, PARTS = 30, 300
GROWTH = 100  # MB; the answers to five million rows are twice that


@pytest.mark.parametrize(
    "command",
    [
        "soak.py --minutes 0.05",
        "fuzz.py --count 400",
        pytest.param("soak.py --minutes 10", marks=SOAK),
        pytest.param("fuzz.py --count 100_000", marks=SOAK),
    ],
)
def test_nothing_goes_wrong_that_must_not(command):
    script, *options = command.split()

    read(sys.executable, ROOT / "tests/soak" / script, *options)


@pytest.fixture
def models_dir(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    publish_with_example("logistic regression", folder)
    return folder


@pytest.mark.parametrize(
    ("write", "few", "many"),
    [
        (write_parquet, 1_000_000, 6_000_000),
        pytest.param(write_parquet, 2_000_000, 50_000_000, marks=SOAK),
        pytest.param(write_csv, 2_000_000, 20_000_000, marks=SOAK),
    ],
)
def test_more_rows_take_no_more_memory(write, few, many, models_dir, tmp_path):
    most = {}
    for rows in (few, many):
        write(tmp_path / "rows", rows)
        run = score(models_dir, tmp_path / "rows", tmp_path / f"scored_{rows}")
        assert run.rows == rows
        most[rows] = run.most

    assert most[many] < most[few] + GROWTH


@SOAK
def test_kills_change_nothing(models_dir, tmp_path):
    """backend/tests/test_scoring.py has one kill."""
    source, out, whole = (tmp_path / it for it in ("rows", "out", "whole"))
    source.mkdir()
    for part in range(PARTS):
        write_parquet(source / f"{part:03}.parquet", 50_000)
    command = [sys.executable, str(ROOT / "backend/scoring.py"), str(source)]
    for _ in range(KILLS):
        before = len(list(out.glob("part-*")))
        with running([*command, str(out)], ".", MODELS_DIR=models_dir) as process:
            wait_until(lambda done=before: len(list(out.glob("part-*"))) > done)
            assert process.poll() is None
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    for folder in (out, whole):
        read(*command, folder, MODELS_DIR=models_dir)

    expected = {it.name: it.read_bytes() for it in whole.glob("part-*")}
    assert {it.name: it.read_bytes() for it in out.glob("part-*")} == expected
    assert len(expected) == PARTS
