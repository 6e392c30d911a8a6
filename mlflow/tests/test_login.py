"""MLflow's own login, as deploy/mlflow-auth switches it on."""

import re
import sqlite3
from contextlib import closing

import pytest
import requests
import yaml
from processes import ROOT, running_mlflow

from databases import MARK

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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def server(folder):
    with running_mlflow(folder, folder, read_options(), **configure(folder)) as url:
        yield url


@pytest.mark.parametrize("login", [None, ("admin", "password1234"), ("somebody", PASSWORD)])
def test_without_the_password_nobody_gets_in(server, login):
    for path in (SEARCH, "/ajax-api/2.0/mlflow/experiments/search", "/"):
        assert requests.get(server + path, params={"max_results": 1}, auth=login).status_code == 401


@pytest.mark.parametrize(
    ("password", "said"),
    [(PASSWORD, "Logged http://"), ("wrong", "refuses. .* set MLFLOW_TRACKING_USERNAME")],
)
def test_the_trainer_logs_in_with_it_and_publishes_in_any_case(
    server, log_to, monkeypatch, password, said
):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)

    printed = log_to(server)

    assert re.search(said, printed)
    assert "Published " in printed
    assert PASSWORD not in printed


def test_the_database_of_users_is_whole_before_it_has_its_name(server, folder):  # noqa: ARG001
    """As test_databases.py shows of whatever `prepare` makes, which leaves its mark."""
    with closing(sqlite3.connect(folder / "basic_auth.db")) as users:
        assert users.execute("PRAGMA user_version").fetchone() == (MARK,)
