"""MLflow's own login, as deploy/mlflow-auth switches it on."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
import requests
import yaml
from processes import ROOT, find_free_port, running, running_mlflow, train

FOLDER = ROOT / "deploy/mlflow-auth"
PASSWORD = "correct horse battery staple"
SEARCH = "/api/2.0/mlflow/experiments/search"


def read_options():
    """Those of the Compose file."""
    service = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]["mlflow"]
    return service["command"][service["command"].index("--app-name") :]


def configure(folder):
    """What a server is told whose users are in the folder."""
    settings = (FOLDER / "basic_auth.ini").read_text()
    config = folder / "basic_auth.ini"
    config.write_text(settings.replace("sqlite:///mlruns", f"sqlite:///{folder}"))
    (folder / "model.pkl").touch()  # or it would train one, which this is not about
    return {
        "MLFLOW_AUTH_CONFIG_PATH": config,
        "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "x" * 40,
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": PASSWORD,
    }


def wait_for_file(path):
    """One that is there for a few hundredths of a second only."""
    deadline = time.monotonic() + 90
    while not path.exists():
        assert time.monotonic() < deadline, "it did not happen in time"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    with running_mlflow(folder, folder, read_options(), **configure(folder)) as url:
        yield url


@pytest.mark.parametrize("login", [None, ("admin", "password1234"), ("somebody", PASSWORD)])
def test_without_the_password_nobody_gets_in(server, login):
    for path in (SEARCH, "/ajax-api/2.0/mlflow/experiments/search", "/"):
        assert requests.get(server + path, params={"max_results": 1}, auth=login).status_code == 401


def test_with_it_one_gets_in(server):
    answer = requests.get(server + SEARCH, params={"max_results": 1}, auth=("admin", PASSWORD))

    assert answer.status_code == 200


def test_the_health_check_needs_none(server):
    assert requests.get(f"{server}/health").status_code == 200


def test_the_trainer_logs_in_with_it(server, tmp_path):
    login = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": PASSWORD}
    command = train(tmp_path, tmp_path, "--budget", "0.02", MLFLOW_TRACKING_URI=server, **login)

    assert f"Logged {server}/#/experiments/" in command.stdout
    assert PASSWORD not in command.stdout + command.stderr


def test_the_trainer_says_when_its_password_is_wrong(server, tmp_path):
    login = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": "wrong"}
    command = train(tmp_path, tmp_path, "--budget", "0.02", MLFLOW_TRACKING_URI=server, **login)

    assert command.returncode == 0  # it is published all the same
    assert "refuses." in command.stderr
    assert "set MLFLOW_TRACKING_USERNAME" in command.stderr


def test_a_server_killed_while_it_makes_its_users_starts_again(published, tmp_path):
    shutil.copy(published.runs_dir / "mlflow.db", tmp_path)
    settings = configure(tmp_path)
    variables = {
        "MODELS_DIR": tmp_path,
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **settings,
    }
    command = ["sh", "start.sh", "--port", str(find_free_port()), *read_options()]
    with running(command, "mlflow", **variables) as server:
        wait_for_file(tmp_path / "basic_auth.db.new")
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    assert not (tmp_path / "basic_auth.db").exists()

    with running_mlflow(tmp_path, tmp_path, read_options(), **settings) as url:
        body = {"max_results": 1}
        assert requests.post(url + SEARCH, json=body, auth=("admin", PASSWORD)).ok
