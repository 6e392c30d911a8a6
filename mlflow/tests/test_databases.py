import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import alembic.command
import mlflow
import pytest
import requests
import warm
from alembic.script import ScriptDirectory
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase
from mlflow.tracking import MlflowClient
from processes import ROOT, environment, find_free_port, give_database, running, wait_until
from servers import running_postgresql
from sqlalchemy import create_engine

from runs.tracker import Tracker


@pytest.fixture
def data():
    """A folder that who runs PostgreSQL may look into."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def search(url):
    """The experiments' names; nothing where the server cannot say."""
    body = {"max_results": 10}
    answer = requests.post(f"{url}/api/2.0/mlflow/experiments/search", json=body, timeout=10)
    return answer.ok and {it["name"] for it in answer.json()["experiments"]}


def count_candidates(run):
    client = MlflowClient()
    experiment = client.get_experiment_by_name(run["experiment"]).experiment_id
    return len(client.search_runs([experiment], f"tags.mlflow.parentRunId = '{run['run_id']}'"))


def test_a_server_on_postgresql_waits_for_it_outlives_its_restart_and_keeps_all(
    training, data, tmp_path
):
    (tmp_path / "model.pkl").touch()
    port, database_port, log = find_free_port(), find_free_port(), tmp_path / "log"
    url = f"http://127.0.0.1:{port}"
    variables = {
        "MODELS_DIR": tmp_path,
        "MLFLOW_TRACKING_URI": url,
        "MLFLOW_BACKEND_STORE_URI": f"postgresql://iris:geheim@127.0.0.1:{database_port}/postgres",
        "MLFLOW_ARTIFACTS_DESTINATION": tmp_path / "artifacts",
        "PATH": f"{warm.make_programs('trainer')}:{os.environ['PATH']}",
    }
    serve = ["sh", "start.sh", "--port", str(port)]
    with log.open("w") as output, running(serve, "mlflow", output, **variables):
        wait_until(lambda: "Operation will be retried" in log.read_text())
        with running_postgresql(data, database_port):
            wait_until(lambda: search(url), seconds=180)
            run = Tracker(url, url, patience=0).log(training.make_run())
        wait_until(lambda: not search(url))
        with running_postgresql(data, database_port):
            wait_until(lambda: search(url) == {"Default", "iris"})
            mlflow.set_tracking_uri(url)
            assert count_candidates(run) == 2
            model = mlflow.sklearn.load_model(f"models:/iris/{run['model_version']}")
            assert len(model.predict(training.dataset.X)) == 150
    assert "geheim" not in log.read_text()


def prepare(folder):
    """As start.sh does."""
    command = [sys.executable, str(ROOT / "mlflow/databases.py")]
    uri = f"sqlite:///{folder}/mlflow.db"
    return warm.run(command, env=environment(MLFLOW_BACKEND_STORE_URI=uri))


def read_revision(path):
    with closing(sqlite3.connect(path)) as database:
        [[revision]] = database.execute("SELECT version_num FROM alembic_version")
        return revision


KILLED = """
import os, signal, sqlite3, sys, databases

def die(uri):
    sqlite3.connect(uri.removeprefix("sqlite:///")).executescript("CREATE TABLE half (x)")
    os.kill(os.getpid(), signal.SIGKILL)

databases.prepare(sys.argv[1], die)
"""


def test_a_database_whose_making_is_killed_is_made_again_whole(tmp_path):
    path = tmp_path / "mlflow.db"
    killed = [sys.executable, "-c", KILLED, f"sqlite:///{path}"]
    assert subprocess.run(killed, cwd=ROOT / "mlflow").returncode == -signal.SIGKILL
    assert [it.name for it in tmp_path.iterdir()] == ["mlflow.db.new"]

    done = prepare(tmp_path)

    assert done.returncode == 0, done.stderr
    assert read_revision(path)
    with closing(sqlite3.connect(path)) as database:
        assert not database.execute("SELECT * FROM sqlite_master WHERE name = 'half'").fetchall()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # MLflow's own matter
def test_the_database_of_an_older_mlflow_is_brought_up_to_date_and_kept(tmp_path):
    path, old = tmp_path / "mlflow.db", tmp_path / "mlflow.db.old"
    engine = create_engine(f"sqlite:///{path}")
    InitialBase.metadata.create_all(engine)
    settings = _get_alembic_config(str(engine.url))
    newest = ScriptDirectory.from_config(settings).get_current_head()
    alembic.command.upgrade(settings, f"{newest}-1")
    before = read_revision(path)
    path.chmod(0o600)

    done = prepare(tmp_path)

    assert done.returncode == 0, done.stderr
    assert (read_revision(path), read_revision(old)) == (newest, before)
    assert [it.stat().st_mode & 0o777 for it in (path, old)] == [0o600] * 2
    again = prepare(tmp_path)
    assert (again.returncode, again.stderr) == (0, "")  # it is not looked at a second time


def test_the_database_of_a_newer_mlflow_is_left_as_it_is(tmp_path):
    path = tmp_path / "mlflow.db"
    give_database(tmp_path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'of tomorrow'")
        database.execute("PRAGMA user_version = 1")
    before = path.read_bytes()

    done = prepare(tmp_path)

    assert done.returncode == 1
    assert "of tomorrow" in done.stderr.splitlines()[-1]
    assert "put back its .old" in done.stderr
    assert path.read_bytes() == before
