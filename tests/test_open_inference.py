"""Clients of the Open Inference Protocol as they come, each in an environment of its own."""

import json
import subprocess
import sys
import tempfile

import joblib
import numpy as np
import pytest
import requests
from made_tables import make_mixed
from processes import ROOT, environment, find_free_port, running_backend, wait_until

TRITON, KSERVE = "tritonclient[http]==2.73.0", "kserve==0.21.0"
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.1, 2.7, 4.9, 1.8]] * 50  # as many as are worth compressing
DTYPES = ["bool", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))]
DTYPES += ["float16", "float32", "float64"]


@pytest.fixture(scope="module")
def iris(published):
    """What clients ask of it, and the answers of the published pickle."""
    [path] = published.models_dir.glob("model_*.pkl")
    estimator = joblib.load(path)
    with running_backend(published.models_dir, find_free_port()) as url:
        model = wait_for_model(url)
        yield model | {"cases": [make_case(estimator, dtype) for dtype in DTYPES]}


@pytest.fixture(scope="module")
def mixed(train_on):
    """The examples in the manifest of a model of numbers, booleans and text."""
    with running_backend(train_on(make_mixed).models_dir, find_free_port()) as url:
        model = wait_for_model(url)
        for example in model["examples"]:
            example["label"] = model["classes"][np.argmax(example["probabilities"])]
        yield model


def wait_for_model(url):
    wait_until(lambda: requests.get(f"{url}/health/ready").ok)
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


def run(client, requirement, models):
    """Install what the client is made of, and nothing else, and let it ask."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [f"{folder}/bin/pip", "install", "--quiet", "--disable-pip-version-check"]
        # Compiled when imported: most of it never is.
        subprocess.run([*install, "--no-compile", requirement], check=True)
        return subprocess.run(
            [f"{folder}/bin/python", ROOT / "tests" / client],
            env=environment(),
            input=json.dumps(models),
            capture_output=True,
            text=True,
            timeout=240,
        )


def test_tritonclient_works_as_it_comes(iris, mixed):
    client = run("triton_client.py", TRITON, {"iris": iris, "mixed": mixed})

    assert client.returncode == 0, client.stderr
    assert client.stdout.split() == [str(len(DTYPES) * 2**3 * 3**2)] * 2


def test_kserves_client_works_as_it_comes(iris, mixed):
    client = run("kserve_client.py", KSERVE, {"iris": iris, "mixed": mixed})

    assert client.returncode == 0, client.stderr
    assert client.stdout.split() == [str((len(DTYPES) * 2**3 - 2 * 2) * 2)]
