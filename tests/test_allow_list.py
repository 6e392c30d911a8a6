"""What backend and scorer let a pickle ask for, against the pickles there are."""

import subprocess
import sys

from allow_list import COPY, FILE, dump, dump_candidates, record
from documentation import ROOT
from estimators import fit_all

ALLOWED = {tuple(line.split()) for line in FILE.read_text().splitlines()}

UNPICKLE = """
import sys
from pathlib import Path
from unpickling import unpickle
for path in Path(sys.argv[1]).iterdir():
    unpickle(path.read_bytes())
"""


def test_every_candidate_of_the_trainer_needs_only_what_is_allowed(tmp_path):
    candidates = dump_candidates(tmp_path)

    assert len(candidates) >= 30
    for path in candidates:
        assert record(path.read_bytes()) <= ALLOWED, path.name


def test_the_trainer_scores_with_the_same_list():
    assert COPY.read_text() == FILE.read_text()


def test_the_usual_estimators_need_only_what_is_allowed():
    for name, estimator in fit_all():
        assert record(dump(estimator)) <= ALLOWED, name


def test_backend_and_scorer_load_them_all(tmp_path):
    for index, (_, estimator) in enumerate(fit_all()):
        (tmp_path / str(index)).write_bytes(dump(estimator))

    command = [sys.executable, "-W", "ignore", "-c", UNPICKLE, tmp_path]
    for service in ("backend", "mlflow"):
        subprocess.run(command, cwd=ROOT / service, check=True)
