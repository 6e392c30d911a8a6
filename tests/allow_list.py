"""Adds to the allow-list every name that a known good pickle needs to load.

Run it when scikit-learn is upgraded or the trainer has a new candidate, with each Python that is
supported, as names differ between the libraries' versions; then read the difference:

    .venv/bin/python tests/allow_list.py
"""

import io
import subprocess
import sys
from pathlib import Path

import joblib
from documentation import ROOT
from estimators import fit_all
from joblib.numpy_pickle import NumpyUnpickler
from made_tables import TARGET, make_mixed

FILE = ROOT / "backend/worker/allow_list.txt"

# In the trainer's own folder, as no import crosses into a service.
DUMP_CANDIDATES = """
import json, sys, joblib
from training.candidates import list_candidates
from table.dataset import make_dataset, read_iris
from training.evaluation import fit
from publishing.features import describe_features
from table.reading import parse_table
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


class Recorder(NumpyUnpickler):
    """Loads a pickle of our own making and keeps the names it asks for."""

    def __init__(self, pickled: bytes) -> None:
        super().__init__("", io.BytesIO(pickled), ensure_native_byte_order=True)
        self.names: set[tuple[str, str]] = set()

    def find_class(self, module, name):
        self.names.add((module, name))
        return super().find_class(module, name)


def record(pickled: bytes) -> set[tuple[str, str]]:
    recorder = Recorder(pickled)
    recorder.load()
    return recorder.names


def dump_candidates(folder: Path) -> None:
    """Every candidate of the trainer, for three classes, two, and columns of all kinds."""
    command = [sys.executable, "-c", DUMP_CANDIDATES, folder, make_mixed(folder), TARGET]
    subprocess.run(command, cwd=ROOT / "mlflow", check=True)


def dump_usual(folder: Path) -> None:
    """The usual estimators of scikit-learn."""
    for index, estimator in enumerate(fit_all()):
        joblib.dump(estimator, folder / f"{index}.pkl")


def main(folder: Path) -> None:
    dump_usual(folder)
    dump_candidates(folder)
    pickles = [path.read_bytes() for path in folder.glob("*.pkl")]
    listed = {tuple(line.split()) for line in FILE.read_text().splitlines()}
    names = listed.union(*map(record, pickles))
    FILE.write_text("".join(f"{module} {name}\n" for module, name in sorted(names)))
    print(f"{len(names)} names, from {len(pickles)} pickles, in {FILE.relative_to(ROOT)}")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
