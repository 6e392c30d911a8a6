"""Dumps the estimators that the backend is to load: the trainer's candidates and the usual ones."""

import subprocess
import sys
from pathlib import Path

import joblib
from documentation import ROOT
from estimators import fit_all
from made_tables import TARGET, make_mixed

# In the trainer's own folder, as no import crosses into a service.
DUMP_CANDIDATES = """
import json, sys, joblib
from training.candidates import list_candidates
from table.dataset import make_dataset, read_iris
from training.evaluation import fit
from publishing.manifest import describe_features
from reading.formats import parse_table
folder, table, target = sys.argv[1:]
iris = read_iris()
datasets = {
    "three": iris,
    "two": iris.take((iris.y != "setosa").to_numpy().nonzero()[0]),
    "mixed": make_dataset(parse_table(open(table, "rb").read(), table), "mixed", target),
}
for kind, dataset in datasets.items():
    with open(f"{folder}/{kind}.json", "w") as file:
        json.dump(describe_features(dataset), file, default=float)
    for candidate in list_candidates(seed=0):
        params = {name: values[-1] for name, values in candidate.grid.items()}
        joblib.dump(fit(candidate, params, dataset), f"{folder}/{kind}.{candidate.name}.pkl")
"""


def dump_candidates(folder: Path) -> None:
    """Every candidate of the trainer, for three classes, two, and columns of all kinds."""
    command = [sys.executable, "-c", DUMP_CANDIDATES, folder, make_mixed(folder), TARGET]
    subprocess.run(command, cwd=ROOT / "mlflow", check=True)


def dump_usual(folder: Path) -> None:
    """The usual estimators of scikit-learn."""
    for index, estimator in enumerate(fit_all()):
        joblib.dump(estimator, folder / f"{index}.pkl")
