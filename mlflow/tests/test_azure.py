import ipaddress
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import joblib
import mlflow
import numpy as np
import pytest
import requests
from conftest import BRIEF
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from mlflow.tracking import MlflowClient
from processes import ROOT, environment

from datasets import read_iris

LOCK = ROOT / "mlflow/requirements-azure.txt"
SCOPE = "/subscriptions/s/resourceGroups/r/providers/Microsoft.MachineLearningServices/workspaces/w"
# What the service is known not to have, or not documented to have.
MISSING = ("/logged-models", "/registered-models/alias", "/runs/log-inputs", "/mlflow/server-info")
TOKEN = "of az login"


class Workspace(ThreadingHTTPServer):
    """What azureml-mlflow can tell of Azure Machine Learning, before a real MLflow server."""

    def __init__(self, upstream, folder):
        super().__init__(("127.0.0.1", 0), Request)
        self.certificate = make_certificate(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        # Later, or one client's handshake keeps the others waiting.
        options = {"server_side": True, "do_handshake_on_connect": False}
        self.socket = context.wrap_socket(self.socket, **options)
        self.upstream = upstream
        self.address = f"127.0.0.1:{self.server_port}"
        self.runs = f"azureml://{self.address}/mlflow/v2.0{SCOPE}/experiments/"
        self.missing, self.credentials, self.stores = set(), set(), True

    def ask(self, method, path, body):
        """The server's answer, in which artifacts are where the service has them."""
        body = re.sub(
            rf"{re.escape(self.runs)}(\w+)/runs/", r"mlflow-artifacts:/\1/", body.decode()
        )
        headers = {"Content-Type": "application/json"}
        answer = requests.request(method, self.upstream + path, data=body, headers=headers)
        text = re.sub(r"mlflow-artifacts:/(\w+)/(\w+)", rf"{self.runs}\1/runs/\2", answer.text)
        return answer.status_code, text

    def place(self, run, body):
        """Where each of a run's files is to be put."""
        paths = [it["path"] for it in json.loads(body)["paths"]]
        place = f"https://{self.address}/blob/{run}/artifacts"
        places = {path: {"contentUri": f"{place}/{path}?sig=s"} for path in paths}
        return 200, json.dumps({"artifactContentInformation": places})

    def store(self, path, body):
        if not self.stores:
            return 403, ""
        url = f"{self.upstream}/api/2.0/mlflow-artifacts/artifacts/{path.partition('?')[0]}"
        requests.put(url, data=body).raise_for_status()
        return 201, ""


class Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, text = self.find_answer(body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815

    def find_answer(self, body):
        workspace = self.server
        if self.path.startswith("/blob/"):
            return workspace.store(self.path.removeprefix("/blob/"), body)
        workspace.credentials.add(self.headers["Authorization"])
        if missing := [route for route in MISSING if route in self.path]:
            workspace.missing.update(missing)
            return 404, ""
        if "mlflow.prompt" in self.path:  # which MLflow 3 adds to filters on models
            return 400, '{"error_code": "INVALID_PARAMETER_VALUE"}'
        history = rf"/history/v1.0{SCOPE}/experiments/(\w+)/runs/(\w+)/artifacts/batch/metadata"
        if uploaded := re.match(history, self.path):
            return workspace.place("/".join(uploaded.groups()), body)
        path = self.path.removeprefix(f"/mlflow/v2.0{SCOPE}")
        return workspace.ask(self.command, path, body)

    def log_message(self, *_):
        pass


def make_certificate(folder):
    """A file with a certificate for this machine, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM) + private)
    return folder / "certificate.pem"


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
    with Workspace(server, tmp_path) as it:
        threading.Thread(target=it.serve_forever, daemon=True).start()
        yield it
        it.shutdown()


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
