"""The requests that docs/api.md shows, sent as they are shown."""

import json
import re

import pytest
import requests
from documentation import ROOT
from shell import read

TEXT = (ROOT / "docs/api.md").read_text()
SHOWN = re.findall(r"```\n(curl .*?)\n```(?:\n+```json\n(.*?)\n```)?", TEXT, re.DOTALL)
OF_IRIS = [(command, answer) for command, answer in SHOWN if "penguins" not in command]
PREDICTION_ID = "554facb6b6b74469e6a905fee1e4c734"  # what the page calls a prediction
ROW = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
TABLE = "sepal_length,sepal_width,petal_length,petal_width\n5.1,3.5,1.4,0.2\n6.1,2.7,4.9,1.8\n"
ENOUGH_ROWS = 100


@pytest.fixture(scope="module")
def prediction_id(served):
    """A prediction that has a label, after enough others to tell drift."""
    answers = [requests.post(f"{served}/predict", json=ROW, timeout=5) for _ in range(ENOUGH_ROWS)]
    found = answers[-1].json()["prediction_id"]
    label = {"prediction_id": found, "label": "versicolor"}
    requests.post(f"{served}/feedback", json=label, timeout=20).raise_for_status()
    return found


def shape(value):
    """What a reader recognises: names and types, whatever the numbers."""
    if isinstance(value, dict):
        return {name: shape(it) for name, it in value.items()}
    if isinstance(value, list):
        return [shape(it) for it in value]
    return "number" if isinstance(value, int | float) else type(value).__name__


@pytest.mark.parametrize(("command", "answer"), OF_IRIS)
def test_a_request_has_the_answer_that_is_shown(command, answer, served, prediction_id, tmp_path):
    (tmp_path / "irises.csv").write_text(TABLE)
    command = command.replace("localhost:8002", served.removeprefix("http://"))
    command = command.replace(PREDICTION_ID, prediction_id)

    said = read("bash", "-c", command.replace("curl", "curl -sS", 1), folder=tmp_path)

    assert "problems" not in said
    assert '"status":' not in said
    if answer:
        assert shape(json.loads(said)) == shape(json.loads(answer))


@pytest.mark.usefixtures("prediction_id")
def test_what_is_shown_of_the_counts_has_the_shape_of_the_real_ones(served):
    blocks = re.findall(r"^```json\n(.*?)\n```", TEXT, re.DOTALL | re.MULTILINE)
    [answer] = [block for block in blocks if '"since"' in block]
    shown, real = json.loads(answer), requests.get(f"{served}/monitoring", timeout=5).json()

    for snapshot in (shown, real):  # routes and statuses are those that were asked
        [snapshot["requests"]] = [it for it in snapshot["requests"] if it["route"] == "/predict"]
        snapshot["requests"]["by_status"] = list(snapshot["requests"]["by_status"].values())[:1]
        [window, *_] = snapshot["drift"]["windows"]
        [feature, *_] = window["features"]
        window["features"], feature["observed"]["counts"] = [feature], []
        [version, *_] = snapshot["accuracy"]["versions"]
        version["confusion"], version["calibration"] = {}, version["calibration"][:1]
        snapshot["drift"]["windows"] = [window]
    assert shape(real) == shape(shown)


def test_there_are_requests_in_the_document():
    assert len(OF_IRIS) >= 5
