"""What mlflow/ publishes, the backend serves: both as processes, with files between them."""

import json
import shutil

import joblib
import pandas as pd
import pytest
import requests
from processes import find_free_port, running_backend, train, wait_until

INSTANCE = {"sepal_length": 6.1, "sepal_width": 2.7, "petal_length": 4.9, "petal_width": 1.8}


@pytest.fixture(scope="module")
def models_dir(published, tmp_path_factory):
    return shutil.copytree(published.models_dir, tmp_path_factory.mktemp("contract") / "models")


@pytest.fixture(scope="module")
def served(models_dir):
    with running_backend(models_dir, find_free_port()) as url:
        wait_until(lambda: requests.get(f"{url}/health/ready").ok)
        yield url


def newest(models_dir):
    return max(models_dir.glob("model_*.pkl"))


def test_the_backend_answers_what_the_published_pickle_says(models_dir, served):
    estimator = joblib.load(newest(models_dir))
    expected = estimator.predict_proba(pd.DataFrame([INSTANCE]))[0]

    answer = requests.post(f"{served}/predict", json=INSTANCE).json()

    assert list(answer["probabilities"].values()) == pytest.approx(list(expected), abs=1e-12)
    assert list(answer["probabilities"]) == list(estimator.classes_)
    assert answer["prediction_class"] == estimator.classes_[expected.argmax()]


def test_the_manifest_on_disk_is_the_manifest_served(models_dir, served):
    shown = requests.get(f"{served}/models/live").json()["manifest"]

    written = newest(models_dir).with_suffix(".json").read_text()
    assert shown == json.loads(written)


def test_a_new_training_goes_live_without_a_restart(models_dir, published, served):
    before = requests.get(f"{served}/health/ready").json()["model_version"]

    brief = ("--budget", "0.02", "--force")  # as the live model may be better
    assert train(models_dir, published.runs_dir, *brief).returncode == 0

    live = newest(models_dir).stem.removeprefix("model_")
    assert live > before
    wait_until(lambda: requests.get(f"{served}/health/ready").json()["model_version"] == live)
    assert requests.post(f"{served}/predict", json=INSTANCE).json()["model_version"] == live
