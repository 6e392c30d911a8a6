"""MLflow's own login, as deploy/mlflow-auth switches it on."""

import pytest
import requests
import yaml
from processes import ROOT, running_mlflow, train

FOLDER = ROOT / "deploy/mlflow-auth"
PASSWORD = "correct horse battery staple"
SEARCH = "/api/2.0/mlflow/experiments/search"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with the options of the Compose file; its users are in a folder of their own."""
    folder = tmp_path_factory.mktemp("runs")
    service = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]["mlflow"]
    options = service["command"][service["command"].index("--app-name") :]
    settings = (FOLDER / "basic_auth.ini").read_text()
    config = folder / "basic_auth.ini"
    config.write_text(settings.replace("sqlite:///mlruns", f"sqlite:///{folder}"))
    (folder / "model.pkl").touch()  # or it would train one, which this is not about
    with running_mlflow(
        folder,
        folder,
        options,
        MLFLOW_AUTH_CONFIG_PATH=config,
        MLFLOW_AUTH_ADMIN_PASSWORD=PASSWORD,
        MLFLOW_FLASK_SERVER_SECRET_KEY="x" * 40,
        MLFLOW_TRACKING_USERNAME="admin",
        MLFLOW_TRACKING_PASSWORD=PASSWORD,
    ) as url:
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
