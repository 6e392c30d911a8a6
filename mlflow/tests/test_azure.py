import json
import os
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import joblib
import mlflow
import numpy as np
import pytest
import requests
from conftest import BRIEF
from mlflow.tracking import MlflowClient
from processes import ROOT, environment
from servers import running_app
from werkzeug import Response
from werkzeug.serving import make_ssl_devcert

from table.dataset import read_iris

LOCK = ROOT / "mlflow/requirements-azure.txt"
SCOPE = "/subscriptions/s/resourceGroups/r/providers/Microsoft.MachineLearningServices/workspaces/w"
# What the service is known not to have, or not documented to have.
MISSING = ("/logged-models", "/registered-models/alias", "/runs/log-inputs", "/mlflow/server-info")
TOKEN = "of az login"
JSON = {"Content-Type": "application/json"}


class Workspace:
    """What azureml-mlflow can tell of Azure Machine Learning, before a real MLflow server."""

    def __init__(self, upstream):
        self.upstream = upstream
        self.missing, self.credentials, self.stores = set(), set(), True

    def answer(self, request):
        path = request.environ["REQUEST_URI"]
        if path.startswith("/blob/"):
            return self.store(path.removeprefix("/blob/"), request.data)
        self.credentials.add(request.headers["Authorization"])
        if missing := [route for route in MISSING if route in path]:
            self.missing.update(missing)
            return Response(status=404)
        if "mlflow.prompt" in path:  # which MLflow 3 adds to filters on models
            return Response('{"error_code": "INVALID_PARAMETER_VALUE"}', 400)
        history = rf"/history/v1.0{SCOPE}/experiments/(\w+)/runs/(\w+)/artifacts/batch/metadata"
        if uploaded := re.match(history, path):
            return self.place("/".join(uploaded.groups()), request)
        return self.ask(path.removeprefix(f"/mlflow/v2.0{SCOPE}"), request)

    def ask(self, path, request):
        """The server's answer, in which artifacts are where the service has them."""
        runs = f"azureml://{request.host}/mlflow/v2.0{SCOPE}/experiments/"
        sent = request.get_data(as_text=True)
        body = re.sub(rf"{re.escape(runs)}(\w+)/runs/", r"mlflow-artifacts:/\1/", sent)
        url = self.upstream + path
        answer = requests.request(request.method, url, data=body, headers=JSON)
        text = re.sub(r"mlflow-artifacts:/(\w+)/(\w+)", rf"{runs}\1/runs/\2", answer.text)
        return Response(text, answer.status_code, JSON)

    def place(self, run, request):
        """Where each of a run's files is to be put."""
        place = f"https://{request.host}/blob/{run}/artifacts"
        paths = [it["path"] for it in request.json["paths"]]
        places = {path: {"contentUri": f"{place}/{path}?sig=s"} for path in paths}
        return Response(json.dumps({"artifactContentInformation": places}), headers=JSON)

    def store(self, path, body):
        if not self.stores:
            return Response(status=403)
        url = f"{self.upstream}/api/2.0/mlflow-artifacts/artifacts/{path.partition('?')[0]}"
        requests.put(url, data=body).raise_for_status()
        return Response(status=201)


@pytest.fixture(scope="module")
def python():
    """Of an environment with what the lock says, and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        uv = Path(sys.executable).with_name("uv")
        install = ["pip", "install", "--python", folder, "--require-hashes", "-r", LOCK]
        for command in (["venv", "--python", sys.executable, folder], install):
            subprocess.run([uv, "--quiet", *command], check=True)
        yield f"{folder}/bin/python"


@pytest.fixture
def workspace(server, tmp_path):
    workspace = Workspace(server)
    certificate, key = make_ssl_devcert(tmp_path / "workspace", cn="localhost")
    with running_app(workspace.answer, ssl_context=(certificate, key)) as url:
        workspace.address = f"localhost:{urlsplit(url).port}"
        workspace.certificate = certificate
        yield workspace


@pytest.fixture
def train(python, workspace, tmp_path):
    """Run metrics.py as a user who has logged in."""
    az = tmp_path / "az"
    login = {"accessToken": TOKEN, "expires_on": int(datetime.now(UTC).timestamp()) + 3600}
    az.write_text(f"#!/bin/sh\necho '{json.dumps(login)}'\n")
    az.chmod(0o755)
    variables = environment(
        MODELS_DIR=tmp_path,
        UNSENT_RUNS_DIR=tmp_path / "unsent",
        MLFLOW_TRACKING_URI=f"azureml://{workspace.address}/mlflow/v1.0{SCOPE}",
        REQUESTS_CA_BUNDLE=workspace.certificate,
        PATH=f"{tmp_path}:{os.environ['PATH']}",
        # Or others are looked for in the network, as is the cloud.
        AZURE_TOKEN_CREDENTIALS="AzureCliCredential",
        AZUREML_CURRENT_CLOUD="AzureCloud",
    )
    command = [python, ROOT / "mlflow/metrics.py"]
    return lambda *arguments: subprocess.run(
        [*command, *map(str, arguments)], env=variables, capture_output=True, text=True
    )


def read_locked(lock: Path) -> list[str]:
    """What a published pickle needs, with the versions."""
    pattern = r"^(?:scikit-learn|joblib|numpy|scipy|threadpoolctl)==.*?(?= \\$)"
    return re.findall(pattern, lock.read_text(), re.MULTILINE)


def test_what_is_trained_for_azure_has_the_backends_versions():
    locked = read_locked(LOCK)

    assert len(locked) >= 5
    assert locked == read_locked(ROOT / "backend/requirements.txt")


def test_the_same_command_keeps_what_a_workspace_does_not_take_and_logs_to_it_later(
    train, workspace, tmp_path
):
    workspace.stores = False
    kept = train(*BRIEF)
    assert kept.returncode == 0, kept.stderr
    assert "Not logged: MLflow failed half-way: " in kept.stderr
    [published] = tmp_path.glob("model_*.pkl")
    assert train("--sync").returncode == 1
    assert len(list((tmp_path / "unsent").iterdir())) == 1
    workspace.stores = True

    sent = train("--sync")

    assert sent.returncode == 0, sent.stderr
    assert workspace.credentials == {f"Bearer {TOKEN}"}
    assert "/logged-models" in workspace.missing
    [run_id] = re.findall(r"Logged run (\w+) of experiment iris", sent.stdout)
    [version] = MlflowClient().search_model_versions(f"run_id = '{run_id}'")
    assert version.tags["model_file"] == published.name
    run = MlflowClient().get_run(run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "training")
    assert {it.path for it in MlflowClient().list_artifacts(run_id)} > {"comparison.json"}
    X = read_iris().X
    model = mlflow.sklearn.load_model(f"models:/iris/{version.version}")
    expected = joblib.load(published).predict_proba(X)
    np.testing.assert_array_equal(model.predict_proba(X), expected)
