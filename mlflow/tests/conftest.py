"""A real training and a real tracking server, each once for all tests of a process."""

from types import SimpleNamespace

import mlflow
import numpy as np
import pandas as pd
import pytest
from processes import make_once, published, running_mlflow  # noqa: F401  # two are fixtures

from publishing.publisher import KEYS, Publisher, publish
from reading.formats import Table
from runs.tracker import Tracker
from runs.unsent import logged, send_kept
from table.dataset import make_dataset, read_iris
from training.candidates import list_candidates
from training.comparison import Setting, compare, split
from training.evaluation import FittedModel, fit, search
from training.report import make_run

BRIEF = ("--only", "Baseline")  # which any live model beats

MANIFEST = dict.fromkeys(KEYS) | {"name": "iris", "features": [], "examples": []}
HEAVY = ["joblib", "matplotlib", "mlflow", "pandas", "scipy", "sklearn", "skops"]


def find_candidate(name):
    return next(one for one in list_candidates(seed=0) if one.name == name)


@pytest.fixture(scope="session")
def mixed():
    """Numbers, booleans and categories, with values missing in each."""
    random = np.random.default_rng(0)
    label = random.integers(0, 3, 150)
    frame = pd.DataFrame(
        {
            "size": (label + random.normal(0, 0.7, 150)).round(2),
            "whole": random.integers(0, 5, 150),
            "member": (random.random(150) < 0.5).astype(object),
            "island": random.choice(["Biscoe", "Dream", "Torgersen"], 150).astype(object),
            "y": np.array(["a", "b", "c"])[label],
        }
    )
    for name in ("size", "member", "island"):
        frame.loc[random.random(150) < 0.1, name] = None
    return make_dataset(Table(frame, "0" * 64), "mixed", "y")


@pytest.fixture(scope="session")
def training():
    """Iris, two candidates compared on it, and what makes a new run of that."""
    dataset = read_iris()
    candidates = [find_candidate(name) for name in ("GaussianNB", "LogisticRegression")]
    setting = Setting(dataset, split(dataset, seed=0), seed=0)
    comparison = compare(candidates, setting)
    models = [
        FittedModel(candidate.name, fit(candidate, search(candidate, dataset, seed=0), dataset))
        for candidate in reversed(candidates)
    ]
    return SimpleNamespace(
        dataset=dataset,
        setting=setting,
        comparison=comparison,
        winner=comparison.results[1],
        models=models,
        make_run=lambda: make_run(dataset, comparison, models, {"seed": 0}),
    )


@pytest.fixture
def training_run(training, tmp_path):
    """A training under a name of its own, of one candidate and one model for speed."""
    made = training.make_run()
    made.name = tmp_path.name
    made.models = dict(list(made.models.items())[:1])
    made.candidates = made.candidates[:1]
    return made


@pytest.fixture
def unsent(tmp_path):
    """The folder of runs that MLflow could not take."""
    return tmp_path / "unsent"


@pytest.fixture
def log_to(training_run, unsent, tmp_path, capsys):
    """Log and publish the run as a training does, and return what is printed."""

    def log_there(url, folder=tmp_path):
        with logged(training_run, Tracker(url, url, patience=0), unsent) as tracked:
            manifest, publisher = MANIFEST | {"mlflow": tracked}, Publisher(folder)
            publish(training_run.best_model, manifest, publisher, training_run.tags)
        return "".join(capsys.readouterr())

    return log_there


@pytest.fixture
def send_to(unsent):
    """Send what is kept, as --sync does."""
    return lambda url: send_kept(Tracker(url, url, patience=0), unsent)


@pytest.fixture(scope="session")
def tracking_server(tmp_path_factory):
    """A server for all tests that only ask one: its folder and its address."""
    folder = tmp_path_factory.mktemp("tracking")
    (folder / "model.pkl").touch()  # or it would train one
    with running_mlflow(folder, folder) as url:
        yield SimpleNamespace(folder=folder, url=url)


@pytest.fixture
def server(tracking_server):
    """The server's address, which MLflow's own functions ask too."""
    mlflow.set_tracking_uri(tracking_server.url)
    return tracking_server.url


@pytest.fixture(scope="session")
def light(tmp_path_factory):
    """A folder for PYTHONPATH that lets nothing heavy be imported."""
    folder = tmp_path_factory.mktemp("light")
    forbid = f"import sys\nsys.modules.update(dict.fromkeys({HEAVY}))\n"
    (folder / "sitecustomize.py").write_text(forbid)
    return folder
