"""What mlflow/ publishes, the backend serves: both as processes, with files between them."""

import json

import joblib
import pandas as pd
import pytest
import requests

INSTANCE = {"sepal_length": 6.1, "sepal_width": 2.7, "petal_length": 4.9, "petal_width": 1.8}


def test_the_backend_answers_what_the_published_pickle_says(published, served):
    [path] = published.models_dir.glob("model_*.pkl")
    estimator = joblib.load(path)
    expected = estimator.predict_proba(pd.DataFrame([INSTANCE]))[0]

    answer = requests.post(f"{served}/predict", json=INSTANCE).json()

    assert list(answer["probabilities"].values()) == pytest.approx(list(expected), abs=1e-12)
    assert list(answer["probabilities"]) == list(estimator.classes_)
    assert answer["prediction_class"] == estimator.classes_[expected.argmax()]


def test_the_manifest_on_disk_is_the_manifest_served(published, served):
    [path] = published.models_dir.glob("model_*.json")

    shown = requests.get(f"{served}/models/live").json()["manifest"]

    assert shown == json.loads(path.read_text())
