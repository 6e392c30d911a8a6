"""The trainer's pickles and the usual ones: loaded by the services, and answered exactly."""

import json
import sys

import pytest
from documentation import ROOT
from pickles import dump_candidates, dump_usual
from shell import read

UNPICKLE = """
import sys
from pathlib import Path
from worker.unpickling import unpickle
for path in map(Path, sys.argv[1:]):
    unpickle(path.read_bytes())
"""

COMPARE = """
import json, sys, warnings
from pathlib import Path
import numpy as np
warnings.simplefilter("ignore")
from engines.engine import NotCompiled
from engines.decoding import read_engine
from serving.inference import Model
from schemas import Description
from worker.unpickling import unpickle
from worker.compiling import parity
from worker.compiling.compilation import compile_model
from worker.opened_model import OpenedModel
folder, rows, usual = Path(sys.argv[1]), int(sys.argv[2]), parity.ROWS
for path in sorted(folder.glob("*.*.pkl")):
    kind, name, _ = path.name.split(".")
    estimator = unpickle(path.read_bytes())
    description = Description.model_validate({
        "name": kind, "version": "", "created_at": "2026-11-21T20:44:20Z", "sha256": "", "size": 1,
        "features": json.loads((folder / f"{kind}.json").read_text()), "estimator": name,
        "target": {"name": "y", "classes": estimator.classes_.tolist()},
    })
    model, engine = Model(description, OpenedModel(estimator, description)), None
    try:
        engine = read_engine(*compile_model(model.worker), description)
        model.serve_by(engine)
    except NotCompiled as reason:
        model.serving.detail = str(reason)
    parity.ROWS = rows
    probes = parity.draw_probes(description, engine)
    parity.ROWS = usual
    _, expected = model.answer(model.to_array(probes))
    answers = [probabilities for _, probabilities in model.answer_many(probes)]
    given = np.array([[np.nan] * len(model.classes) if it is None else it for it in answers])
    print(json.dumps({
        "kind": kind, "name": name, "rows": len(probes), "engine": model.serving.name,
        "labels": int((given.argmax(axis=1) != expected.argmax(axis=1)).sum()),
        "farthest": float(np.abs(given - expected).max()), "detail": model.serving.detail,
        "unanswered": int(np.isnan(expected).any(axis=1).sum()),
    }))
"""

ENGINES = {
    "Baseline": "scikit-learn",
    "CalibratedSVC": "scikit-learn",
    "ExtraTreesClassifier": "trees",
    "GaussianNB": "layers",
    "HistGradientBoostingClassifier": "trees",
    "KNeighborsClassifier": "scikit-learn",
    "KernelLogisticRegression": "scikit-learn",
    "LinearDiscriminantAnalysis": "linear",
    "LogisticRegression": "linear",
    "QuadraticDiscriminantAnalysis": "layers",
    "RandomForestClassifier": "trees",
}


@pytest.fixture(scope="module")
def candidates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("candidates")
    dump_candidates(folder)
    return folder


@pytest.mark.parametrize("rows", [300, pytest.param(20_000, marks=pytest.mark.soak)])
def test_every_candidate_is_served_by_the_fastest_form_that_is_exact(rows, candidates):
    """Exact on rows as people type them and on neighbours of the trees' thresholds."""
    compare = (sys.executable, "-c", COMPARE, candidates, rows)
    comparisons = [json.loads(it) for it in read(*compare, folder=ROOT / "backend").splitlines()]

    assert len(comparisons) == 3 * len(ENGINES)
    assert any(it["rows"] > rows for it in comparisons)  # with thresholds
    for it in comparisons:
        assert it["engine"] == ENGINES[it["name"]], it
        assert it["rows"] >= rows, it
        assert it["unanswered"] == 0, it
        assert it["labels"] == 0, it
        assert it["farthest"] <= 1e-6, it


def test_the_backend_loads_the_usual_estimators(tmp_path):
    dump_usual(tmp_path)
    pickles = [*tmp_path.glob("*.pkl")]

    assert len(pickles) > 100
    read(sys.executable, "-W", "ignore", "-c", UNPICKLE, *pickles, folder=ROOT / "backend")
