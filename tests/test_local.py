"""The stack without Docker, started and used as the README says."""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest
import requests
from documentation import read_commands
from guides import made_stack
from page import SETOSA, expect_answer, fill, press
from playwright.sync_api import expect
from processes import find_free_port, running, wait_until
from shell import read, run

QUICKLY = "--only GaussianNB --force"  # which is worse than the live model


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """`make local` in a clone, with its first model live."""
    with made_stack(tmp_path_factory.mktemp("stack")) as it:
        it.start()
        yield it


def published(stack):
    return sorted((stack.folder / "models").glob("*.pkl"))


def live_version(stack):
    """None if no model is live yet."""
    return requests.get(f"{stack.url('8002')}/health/ready").json().get("model_version")


def run_names(stack):
    api = f"{stack.url('8003')}/api/2.0/mlflow"
    found = requests.get(f"{api}/experiments/get-by-name", params={"experiment_name": "iris"})
    experiment = found.json()["experiment"]["experiment_id"]
    runs = requests.post(f"{api}/runs/search", json={"experiment_ids": [experiment]}).json()["runs"]
    return [run["info"]["run_name"] for run in runs]


def test_one_first_model_is_trained_signed_and_tracked(stack):
    assert len(published(stack)) == 1
    assert requests.get(f"{stack.url('8002')}/models/live").json()["signature"] == "signed"
    assert (stack.folder / "keys/private/model_signing_key.pem").stat().st_mode & 0o777 == 0o600
    assert run_names(stack).count("training") == 1
    assert len(run_names(stack)) >= 10  # one for each candidate too


def test_the_page_predicts(stack, tab):
    tab.goto(stack.url("8001"))
    fill(tab, SETOSA)
    press(tab, "Predict")

    expect_answer(tab, "setosa")
    assert tab.faults == []


def test_the_docs_example_works_when_tried(stack, tab):
    tab.goto(f"{stack.url('8002')}/docs")
    tab.get_by_text("/predict", exact=True).click()
    tab.get_by_role("button", name="Try it out").click()
    tab.get_by_role("button", name="Execute").click()

    expect(tab.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    assert tab.faults == []


def test_make_train_publishes_a_model_that_goes_live(stack):
    before = live_version(stack)

    command = run("make", "train", f"ARGS={QUICKLY}", folder=stack.folder)

    assert command.returncode == 0, command.stderr
    assert f"Logged {stack.url('8003')}/#/experiments/" in command.stdout
    wait_until(lambda: live_version(stack) > before)


def test_each_service_starts_alone_from_its_folder(stack):
    commands = [it for it in read_commands("CONTRIBUTING.md") if it.startswith("cd ")]
    backend, frontend, trainer = commands

    port = find_free_port()
    with running(["sh", "-c", f"{backend} --port {port}"], stack.folder):
        wait_until(lambda: requests.get(f"http://127.0.0.1:{port}/health/ready").ok)
    with running(["sh", "-c", f"{frontend} --server.port {port}"], stack.folder):
        wait_until(lambda: requests.get(f"http://127.0.0.1:{port}/_stcore/health").ok)
    variables = {"MLFLOW_TRACKING_URI": stack.url("8003")}
    read("sh", "-c", f"{trainer} {QUICKLY}", folder=stack.folder, **variables)


def test_ctrl_c_stops_everything_and_a_second_start_trains_no_second_first_model(stack, tmp_path):
    models = published(stack)

    os.killpg(stack.process.pid, signal.SIGINT)
    stack.process.wait(timeout=30)
    for port in stack.ports.values():
        with socket.socket() as it:
            assert it.connect_ex(("127.0.0.1", port)) != 0

    log, programs = tmp_path / "log", Path(sys.executable).parent
    command = [str(programs / "honcho"), "start", "mlflow"]
    path = f"{programs}:{os.environ['PATH']}"
    with log.open("w") as output, running(command, stack.folder, output, PATH=path):
        wait_until(lambda: "A model is published already" in log.read_text())
        wait_until(lambda: run_names(stack))
    assert published(stack) == models
