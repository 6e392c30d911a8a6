"""MLflow's own login, as deploy/mlflow-auth switches it on."""

import sqlite3
from contextlib import closing

import pytest
import requests
import yaml
from conftest import MANIFEST
from processes import ROOT, running_mlflow

from databases import MARK
from delivery import Services, deliver
from publishing import Publisher
from tracking import Tracker
from unsent import RecordFolder

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


def test_with_it_one_gets_in(server):
    answer = requests.get(server + SEARCH, params={"max_results": 1}, auth=("admin", PASSWORD))

    assert answer.status_code == 200


def test_the_health_check_needs_none(server):
    assert requests.get(f"{server}/health").status_code == 200


def deliver_with(password, server, training, folder, monkeypatch):
    """As metrics.py does, logged in by the environment."""
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
    tracker = Tracker(server, server, patience=0)
    services = Services(tracker, RecordFolder(folder / "unsent"), Publisher(folder))
    record = training.record()
    record.models, record.candidates = record.models[:1], []  # each request checks the password
    deliver(record, dict(MANIFEST), services)
    assert len(list(folder.glob("model_*.pkl"))) == 1  # it is published in any case


def test_the_trainer_logs_in_with_it(server, training, tmp_path, monkeypatch, capsys):
    deliver_with(PASSWORD, server, training, tmp_path, monkeypatch)

    said = "".join(capsys.readouterr())
    assert f"Logged {server}/#/experiments/" in said
    assert PASSWORD not in said


def test_the_trainer_says_when_its_password_is_wrong(
    server, training, tmp_path, monkeypatch, capsys
):
    deliver_with("wrong", server, training, tmp_path, monkeypatch)

    said = capsys.readouterr().err
    assert "refuses." in said
    assert "set MLFLOW_TRACKING_USERNAME" in said


def test_the_database_of_users_is_whole_before_it_has_its_name(server, folder):  # noqa: ARG001
    """As test_start.py shows of whatever `prepare` makes, which leaves its mark."""
    with closing(sqlite3.connect(folder / "basic_auth.db")) as users:
        assert users.execute("PRAGMA user_version").fetchone() == (MARK,)
