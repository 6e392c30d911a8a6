"""What the backend compiles a model to, against the model itself."""

import json
import subprocess
import sys

import pytest
from documentation import ROOT
from made_tables import TARGET, make_mixed

# In the trainer's own folder, and then in the backend's, as no import crosses into a service.
FIT_CANDIDATES = """
import json, sys
import joblib
from pathlib import Path
from candidates import list_candidates
from datasets import make_dataset, read_iris
from features import describe_features
from tables import read_table
folder, table, target = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
iris = read_iris()
datasets = {
    "three": iris,
    "two": iris.take((iris.y != "setosa").to_numpy().nonzero()[0]),
    "mixed": make_dataset(read_table(table), "mixed", target),
}
for name, dataset in datasets.items():
    features = json.dumps(describe_features(dataset), default=float)
    (folder / f"{name}.json").write_text(features)
    for candidate in list_candidates(seed=0):
        params = {key: values[-1] for key, values in candidate.grid.items()}
        pipeline = candidate.build(dataset, params).fit(dataset.X, dataset.y)
        joblib.dump(pipeline, folder / f"{name}.{candidate.name}")
"""

COMPARE = """
import json, sys, warnings
from pathlib import Path
import numpy as np
warnings.simplefilter("ignore")
from engines import parity
from engines.compilation import compile_model
from engines.preparation import NotCompiled
from inference import Model
from schemas import Description
from unpickling import unpickle
folder, rows = Path(sys.argv[1]), int(sys.argv[2])
for path in sorted(folder.glob("*.[A-Z]*")):
    kind, _, name = path.name.partition(".")
    estimator = unpickle(path.read_bytes())
    description = Description.model_validate({
        "name": kind, "version": "", "created_at": "2026-11-21T20:44:20Z", "sha256": "", "size": 1,
        "features": json.loads((folder / f"{kind}.json").read_text()), "estimator": name,
        "target": {"name": "y", "classes": estimator.classes_.tolist()},
    })
    model = Model(estimator, description)
    try:
        model.serve_by(compile_model(model))
    except NotCompiled as reason:
        model.serving.detail = str(reason)
    parity.ROWS = rows
    probes = parity.draw_probes(description, None)
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

ROWS = 20_000
ENGINES = {
    "Baseline": "scikit-learn",
    "CalibratedSVC": "onnx",
    "ExtraTreesClassifier": "trees",
    "GaussianNB": "onnx",
    "HistGradientBoostingClassifier": "trees",
    "KNeighborsClassifier": "scikit-learn",
    "KernelLogisticRegression": "scikit-learn",
    "LinearDiscriminantAnalysis": "linear",
    "LogisticRegression": "linear",
    "QuadraticDiscriminantAnalysis": "onnx",
    "RandomForestClassifier": "trees",
}


@pytest.fixture(scope="module")
def comparisons(tmp_path_factory):
    """Each candidate, fitted on two classes, three, and columns of all kinds, on rows as typed."""
    folder = tmp_path_factory.mktemp("candidates")
    table = make_mixed(tmp_path_factory.mktemp("tables"))
    fit = [sys.executable, "-W", "ignore", "-c", FIT_CANDIDATES, folder, table, TARGET]
    subprocess.run(fit, cwd=ROOT / "mlflow", check=True)
    compare = [sys.executable, "-c", COMPARE, folder, str(ROWS)]
    said = subprocess.run(
        compare, cwd=ROOT / "backend", check=True, stdout=subprocess.PIPE, text=True
    )
    return [json.loads(line) for line in said.stdout.splitlines()]


def test_every_candidate_answers_as_its_pickle_on_rows_as_people_type_them(comparisons):
    assert len(comparisons) == 3 * len(ENGINES)
    for it in comparisons:
        assert it["rows"] >= ROWS, it
        assert it["unanswered"] == 0, it
        assert it["labels"] == 0, it
        assert it["farthest"] <= 1e-6, it


def test_every_candidate_is_served_by_the_fastest_form_that_is_exact(comparisons):
    found = {it["name"]: set() for it in comparisons}
    for it in comparisons:
        found[it["name"]].add(it["engine"])

    assert found == {name: {engine} for name, engine in ENGINES.items()}
