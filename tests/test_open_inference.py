"""Asks backends by the published clients of the Open Inference Protocol."""

import json
import sys

import joblib
import numpy as np
import pytest
import requests
from made_tables import make_mixed
from processes import ROOT, running_backend
from shell import read

ROWS = [[5.1, 3.5, 1.4, 0.2], [6.1, 2.7, 4.9, 1.8]] * 50  # as many as are worth compressing
DTYPES = ["bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))]
DTYPES += ["float16", "float32", "float64"]


@pytest.fixture(scope="module")
def models(published, served, train_on):
    """Iris with answers of its pickle, and numbers, booleans and text with their examples."""
    [path] = published.models_dir.glob("model_*.pkl")
    estimator = joblib.load(path)
    iris = describe_model(served)
    iris["cases"] = [make_case(estimator, dtype) for dtype in DTYPES]
    with running_backend(train_on(make_mixed).models_dir) as url:
        mixed = describe_model(url)
        for example in mixed["examples"]:
            example["label"] = mixed["classes"][np.argmax(example["probabilities"])]
        yield {"iris": iris, "mixed": mixed}


def describe_model(url):
    manifest = requests.get(f"{url}/models/live").json()["manifest"]
    return {
        "url": url,
        "address": url.removeprefix("http://"),
        "name": manifest["name"],
        "version": manifest["version"],
        "names": [feature["name"] for feature in manifest["features"]],
        "classes": manifest["target"]["classes"],
        "examples": manifest["examples"],
    }


def make_case(estimator, dtype):
    rows = np.array(ROWS).astype(dtype)
    probabilities = estimator.predict_proba(rows.astype(np.float64))
    return {
        "dtype": dtype,
        "rows": rows.tolist(),
        "labels": estimator.classes_[probabilities.argmax(axis=1)].tolist(),
        "probabilities": probabilities.tolist(),
    }


@pytest.mark.parametrize("alone", [False, pytest.param(True, marks=pytest.mark.soak)])
@pytest.mark.parametrize(
    ("client", "asked"),
    [
        ("triton_client", [len(DTYPES) * 2**3] * 2),
        ("kserve_client", [(len(DTYPES) * 2**3 - 2 * 2) * 2]),
    ],
)
def test_a_client_gets_the_answers_of_the_model(client, asked, alone, models, tmp_path):
    """Alone with what it requires, or with the tests' own packages and those that they lack."""
    script = ROOT / f"tests/{client}.py"
    first, *others = script.with_suffix(".txt").read_text().split()
    # Compiled when imported: most of it never is.
    install = ("-m", "pip", "install", "--quiet", "--no-compile", "--target", tmp_path, first)
    read(sys.executable, *install, *([] if alone else [*others, "--no-deps"]))
    bare = ["-S"] if alone else []  # no packages but those

    said = read(sys.executable, *bare, script, given=json.dumps(models), PYTHONPATH=tmp_path)

    assert [int(it) for it in said.split()] == asked
