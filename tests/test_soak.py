"""Load, faults and nonsense do no harm: bench/ has the same for as long as one likes."""

import subprocess
import sys

import pytest
from processes import ROOT

SHORT = {"soak.py": "--minutes=0.3", "fuzz.py": "--count=1500"}


@pytest.mark.parametrize("script", SHORT)
def test_nothing_goes_wrong_that_must_not(script):
    command = [sys.executable, ROOT / "bench" / script, SHORT[script]]

    run = subprocess.run(command, capture_output=True, text=True, timeout=600)

    assert run.returncode == 0, run.stdout + run.stderr
