"""The stack without Docker, started and used as the README says."""

import os
import signal
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from documentation import read_commands
from page import SETOSA, expect_answer, fill, press
from playwright.sync_api import expect
from processes import find_free_port, running, wait_until
from shell import read, run

QUICKLY = "--only GaussianNB --force"  # which is worse than the live model
PORTS = ("FRONTEND_PORT", "BACKEND_PORT", "MLFLOW_PORT")


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """`make local` on ports and folders of its own, with its first model live."""
    folder = tmp_path_factory.mktemp("stack")
    ports = {name: find_free_port() for name in PORTS}
    models_dir = folder / "models"
    models_dir.mkdir()
    variables = {
        **ports,
        "MODELS_DIR": models_dir,
        "MODEL_SIGNING_KEY": folder / "private.pem",
        "MODEL_PUBLIC_KEY": folder / "public.pem",
        "JOURNAL_URL": f"sqlite:///{folder}/journal.db",
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_ARTIFACTS_DESTINATION": folder / "artifacts",
    }
    backend = f"http://localhost:{ports['BACKEND_PORT']}"
    with running(["make", "local"], ".", **variables) as process:
        wait_until(lambda: requests.get(f"{backend}/health/ready").ok, seconds=300)
        yield SimpleNamespace(
            process=process,
            variables=variables,
            models_dir=models_dir,
            backend=backend,
            page=f"http://localhost:{ports['FRONTEND_PORT']}",
            mlflow=f"http://localhost:{ports['MLFLOW_PORT']}",
        )


def live_version(stack):
    """None if no model is live yet."""
    return requests.get(f"{stack.backend}/health/ready").json().get("model_version")


def run_names(stack):
    api = f"{stack.mlflow}/api/2.0/mlflow"
    found = requests.get(f"{api}/experiments/get-by-name", params={"experiment_name": "iris"})
    experiment = found.json()["experiment"]["experiment_id"]
    runs = requests.post(f"{api}/runs/search", json={"experiment_ids": [experiment]}).json()["runs"]
    return [run["info"]["run_name"] for run in runs]


def test_one_first_model_is_trained_signed_and_tracked(stack):
    assert len(list(stack.models_dir.glob("*.pkl"))) == 1
    assert requests.get(f"{stack.backend}/models/live").json()["signature"] == "signed"
    assert stack.variables["MODEL_SIGNING_KEY"].stat().st_mode & 0o777 == 0o600
    assert run_names(stack).count("training") == 1
    assert len(run_names(stack)) >= 10  # one for each candidate too


def test_the_page_predicts(stack, tab):
    tab.goto(stack.page)
    fill(tab, SETOSA)
    press(tab, "Predict")

    expect_answer(tab, "setosa")
    assert tab.faults == []


def test_the_docs_example_works_when_tried(stack, tab):
    tab.goto(f"{stack.backend}/docs")
    tab.get_by_text("/predict", exact=True).click()
    tab.get_by_role("button", name="Try it out").click()
    tab.get_by_role("button", name="Execute").click()

    expect(tab.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    assert tab.faults == []


def test_make_train_publishes_a_model_that_goes_live(stack):
    before = live_version(stack)

    command = run("make", "train", f"ARGS={QUICKLY}", **stack.variables)

    assert command.returncode == 0, command.stderr
    assert f"Logged {stack.mlflow}/#/experiments/" in command.stdout
    wait_until(lambda: live_version(stack) > before)


def test_each_service_starts_alone_from_its_folder(stack):
    commands = [c for c in read_commands("CONTRIBUTING.md") if c.startswith("cd ")]
    here = str(stack.models_dir)
    backend, frontend, trainer = (command.replace("../models", here) for command in commands)

    port = find_free_port()
    with running(["sh", "-c", f"{backend} --port {port}"], "."):
        wait_until(lambda: requests.get(f"http://127.0.0.1:{port}/health/ready").ok)
    with running(["sh", "-c", f"{frontend} --server.port {port}"], "."):
        wait_until(lambda: requests.get(f"http://127.0.0.1:{port}/_stcore/health").ok)
    read("sh", "-c", f"{trainer} {QUICKLY}", MLFLOW_TRACKING_URI=stack.mlflow)


def test_ctrl_c_stops_everything_and_a_second_start_trains_no_second_first_model(stack, tmp_path):
    models = sorted(stack.models_dir.iterdir())

    os.killpg(stack.process.pid, signal.SIGINT)
    stack.process.wait(timeout=30)
    for name in PORTS:
        with socket.socket() as it:
            assert it.connect_ex(("127.0.0.1", stack.variables[name])) != 0

    log, programs = tmp_path / "log", Path(sys.executable).parent
    command = [str(programs / "honcho"), "start", "mlflow"]
    variables = {**stack.variables, "PATH": f"{programs}:{os.environ['PATH']}"}
    with log.open("w") as output, running(command, ".", output, **variables):
        wait_until(lambda: "A model is published already" in log.read_text())
        wait_until(lambda: run_names(stack))
    assert sorted(stack.models_dir.iterdir()) == models
