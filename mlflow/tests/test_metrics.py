import json
import re
import shutil
import subprocess
import sys

import joblib
import pandas as pd
import pytest
from processes import ROOT, environment, train

DESIGN_KEYS = [
    "format",
    "name",
    "version",
    "created_at",
    "sha256",
    "size",
    "signature",
    "features",
    "target",
    "estimator",
    "params",
    "metrics",
    "dataset",
    "libraries",
    "mlflow",
    "examples",
    "republished_from",
]


def read(models_dir):
    """The one pickle in the folder and its manifest."""
    [path] = models_dir.glob("model_*.pkl")
    return joblib.load(path), json.loads(path.with_suffix(".json").read_text())


def run(**variables):
    command = [sys.executable, str(ROOT / "mlflow/metrics.py")]
    return subprocess.run(
        command, env=environment(**variables), capture_output=True, text=True, timeout=120
    )


def test_the_command_prints_candidates_choice_and_file(published):
    said = published.command.stdout

    assert "LogisticRegression" in said
    assert "RandomForestClassifier" in said
    _, manifest = read(published.models_dir)
    assert f"Chosen {manifest['estimator']}" in said
    assert f"model_{manifest['version']}.pkl" in said


def test_the_manifest_has_every_key_in_order(published):
    _, manifest = read(published.models_dir)

    assert list(manifest) == DESIGN_KEYS
    assert manifest["dataset"]["rows"] == 150
    assert manifest["mlflow"]["experiment"] == "iris"
    assert manifest["mlflow"]["model_version"] == "1"


def test_the_examples_are_one_of_each_class_and_what_the_pickle_says(published):
    estimator, manifest = read(published.models_dir)

    classes = manifest["target"]["classes"]
    assert classes == list(estimator.classes_) == ["setosa", "versicolor", "virginica"]
    for label, example in zip(classes, manifest["examples"], strict=True):
        row = pd.DataFrame([example["inputs"]])
        assert estimator.predict_proba(row)[0] == pytest.approx(example["probabilities"])
        assert estimator.predict(row)[0] == label


def test_the_first_training_is_skipped_where_a_model_is(tmp_path, published):
    command = train(published.models_dir, tmp_path, "--first")

    assert command.returncode == 0
    assert "published already" in command.stdout
    assert len(list(published.models_dir.glob("*.pkl"))) == 1


def test_without_mlflow_the_model_is_published_and_the_command_says_so(tmp_path):
    command = run(MODELS_DIR=tmp_path, MLFLOW_TRACKING_URI="http://127.0.0.1:9")

    assert command.returncode == 0
    assert "Not logged: MLflow does not answer at http://127.0.0.1:9; is" in command.stderr
    assert read(tmp_path)[1]["mlflow"] is None


def test_a_missing_folder_is_named(tmp_path):
    command = run(MODELS_DIR=tmp_path / "nowhere")

    assert command.returncode == 1
    assert command.stderr.strip() == (
        f"There is no folder {tmp_path / 'nowhere'}. Make it, or set MODELS_DIR to another."
    )


def test_a_folder_that_cannot_be_written_is_said_and_nothing_is_published():
    command = run(MODELS_DIR="/proc", MLFLOW_TRACKING_URI="http://127.0.0.1:9")

    assert command.returncode == 1
    assert re.search(r"/proc cannot be written|Nothing was published: .*/proc/", command.stderr)


def test_republishing_copies_a_version_and_says_so(published, tmp_path):
    models_dir = shutil.copytree(published.models_dir, tmp_path / "models")
    _, manifest = read(models_dir)

    command = train(models_dir, tmp_path, "--republish", manifest["version"])

    assert command.returncode == 0
    assert f"a copy of {manifest['version']}" in command.stdout
    newest = max(models_dir.glob("*.json"))
    assert json.loads(newest.read_text())["republished_from"] == manifest["version"]


def test_republishing_what_is_not_there_fails_with_a_sentence(tmp_path):
    command = train(tmp_path, tmp_path, "--republish", "2020_01_01_T00_00_00")

    assert command.returncode == 1
    assert "There is no complete version 2020" in command.stderr
