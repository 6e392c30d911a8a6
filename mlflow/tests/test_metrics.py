import json
import os
import re
import shutil
import signal
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from processes import ROOT, environment, running, train, wait_until

DESIGN_KEYS = [
    "format",
    "name",
    "version",
    "created_at",
    "sha256",
    "size",
    "signature",
    "features",
    "target",
    "estimator",
    "params",
    "metrics",
    "dataset",
    "libraries",
    "mlflow",
    "examples",
    "republished_from",
]


def read(models_dir):
    """The one pickle in the folder and its manifest."""
    [path] = models_dir.glob("model_*.pkl")
    return joblib.load(path), json.loads(path.with_suffix(".json").read_text())


def run(*arguments, **variables):
    command = [sys.executable, str(ROOT / "mlflow/metrics.py"), *map(str, arguments)]
    return subprocess.run(
        command, env=environment(**variables), capture_output=True, text=True, timeout=120
    )


def test_the_command_prints_candidates_choice_and_file(published):
    said = published.command.stdout

    assert "LogisticRegression" in said
    assert "HistGradientBoostingClassifier" in said
    assert said.startswith("Training on Iris.\n")
    _, manifest = read(published.models_dir)
    assert f"Chosen {manifest['estimator']}" in said
    assert f"model_{manifest['version']}.pkl" in said


def test_the_manifest_has_every_key_in_order(published):
    _, manifest = read(published.models_dir)

    assert list(manifest) == DESIGN_KEYS
    assert manifest["dataset"]["rows"] == 150
    assert manifest["mlflow"]["experiment"] == "iris"
    assert manifest["mlflow"]["model_version"] == "1"


def test_the_examples_are_one_of_each_class_and_what_the_pickle_says(published):
    estimator, manifest = read(published.models_dir)

    classes = manifest["target"]["classes"]
    assert classes == list(estimator.classes_) == ["setosa", "versicolor", "virginica"]
    for label, example in zip(classes, manifest["examples"], strict=True):
        row = pd.DataFrame([example["inputs"]])
        assert estimator.predict_proba(row)[0] == pytest.approx(example["probabilities"])
        assert estimator.predict(row)[0] == label


def test_the_first_training_is_skipped_where_a_model_is(tmp_path, published):
    command = train(published.models_dir, tmp_path, "--first")

    assert command.returncode == 0
    assert "published already" in command.stdout
    assert len(list(published.models_dir.glob("*.pkl"))) == 1


def test_without_mlflow_the_model_is_published_and_the_command_says_so(tmp_path):
    unsent = tmp_path / "unsent"
    variables = {"MODELS_DIR": tmp_path, "UNSENT_RUNS_DIR": unsent}
    away = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}

    command = run("--budget", 0.01, **variables, **away)

    assert command.returncode == 0, command.stderr
    assert "Not logged: MLflow does not answer at http://127.0.0.1:9; is" in command.stderr
    assert read(tmp_path)[1]["mlflow"] is None
    [kept] = unsent.iterdir()
    assert f"The run is kept in {kept}; metrics.py --sync sends it." in command.stderr
    assert run("--sync", **variables, **away).returncode == 1
    assert list(unsent.iterdir()) == [kept]


@pytest.fixture
def models_dir(published, tmp_path):
    return shutil.copytree(published.models_dir, tmp_path / "models")


# No budget is too short for the simplest candidate and the live model, which is better.
NEXT_TO_NOTHING = ("--budget", 1e-6)


def test_what_is_worse_than_the_live_model_is_not_published(models_dir, tmp_path):
    live = read(models_dir)

    command = train(models_dir, tmp_path, *NEXT_TO_NOTHING)

    assert command.returncode == 3, command.stderr
    assert "Not published: the live model is better" in command.stdout
    assert "Live " in command.stdout
    assert read(models_dir)[1] == live[1]


def test_force_publishes_it_all_the_same(models_dir, tmp_path):
    command = train(models_dir, tmp_path, *NEXT_TO_NOTHING, "--force")

    assert command.returncode == 0, command.stderr
    newest = max(models_dir.glob("*.json"))
    assert json.loads(newest.read_text())["estimator"] == "Baseline"


def test_a_live_model_of_another_table_is_not_compared(models_dir, tmp_path):
    table = pd.DataFrame({"x": range(0, 80, 2), "y": ["a", "b"] * 20}).sample(40, random_state=0)
    table.to_csv(tmp_path / "other table.csv", index=False)

    command = train(
        models_dir, tmp_path, "--data", tmp_path / "other table.csv", "--target", "y",
        *NEXT_TO_NOTHING,
    )  # fmt: skip

    assert command.returncode == 0, command.stderr
    assert "has other features, so it is not compared" in command.stdout
    newest = max(models_dir.glob("*.json"))
    assert json.loads(newest.read_text())["name"] == "other table"


def test_iris_takes_no_other_tables_place_unasked(models_dir, tmp_path):
    [path] = models_dir.glob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"name": "penguins"}))

    command = run(MODELS_DIR=models_dir)

    assert command.returncode == 1
    assert "The live model is of the table penguins, and no table is given." in command.stderr
    assert len(list(models_dir.glob("*.pkl"))) == 1
    table = {"DATASET": "nowhere.csv", "TARGET": "y"}
    asked = train(models_dir, tmp_path, *NEXT_TO_NOTHING, "--iris", "--force", **table)
    assert asked.returncode == 0, asked.stderr
    assert json.loads(max(models_dir.glob("*.json")).read_text())["name"] == "iris"


def test_the_first_training_of_another_table_is_not_skipped(models_dir, tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n1,a\n")
    other = {"DATASET": tmp_path / "t.csv", "TARGET": "y", "MODELS_DIR": models_dir}

    command = run("--first", **other)

    assert "published already" not in command.stdout
    assert "Column y has labels in 1 row(s); a comparison needs 20" in command.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--data", "nowhere.csv", "--target", "y"], 1, "There is no file nowhere.csv"),
        (["--data", "nowhere.csv"], 1, "Say which column of nowhere.csv is to be predicted"),
        (["--target", "y"], 2, "name it with --data"),
        (["--iris", "--data", "t.csv"], 2, "not allowed with argument"),
        (["--name", "a/b"], 2, "use letters, digits, spaces"),
        (["--seed", "-1"], 2, "use a whole number from 0"),
        (["--budget", "nan"], 2, "use a number of minutes above 0"),
        (["--budget", "0"], 2, "use a number of minutes above 0"),
    ],
)
def test_what_cannot_be_done_is_said_without_a_traceback(arguments, code, message, tmp_path):
    command = run(*arguments, MODELS_DIR=tmp_path)

    assert command.returncode == code
    assert message in command.stderr
    assert "Traceback" not in command.stderr
    assert list(tmp_path.iterdir()) == []


def is_running(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c_publishes_nothing_and_leaves_no_process(tmp_path):
    log = tmp_path / "log"
    models_dir = tmp_path / "models"
    models_dir.mkdir()
    command = [sys.executable, "metrics.py"]
    with log.open("w") as output:
        with running(command, "mlflow", output, MODELS_DIR=models_dir) as process:
            wait_until(lambda: "GaussianNB done" in log.read_text(), seconds=60)
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(90) == 1
        wait_until(lambda: not is_running(process.pid))

    assert list(models_dir.iterdir()) == []


def test_a_killed_training_leaves_no_process(tmp_path):
    log = tmp_path / "log"
    with log.open("w") as output:
        command = [sys.executable, "metrics.py"]
        with running(command, "mlflow", output, MODELS_DIR=tmp_path) as process:
            wait_until(lambda: "GaussianNB done" in log.read_text(), seconds=60)
            process.kill()
            process.wait()
            wait_until(lambda: not is_running(process.pid))


def test_a_missing_folder_is_named(tmp_path):
    command = run(MODELS_DIR=tmp_path / "nowhere")

    assert command.returncode == 1
    assert command.stderr.strip() == (
        f"There is no folder {tmp_path / 'nowhere'}. Make it, or set MODELS_DIR to another."
    )


def test_a_folder_that_cannot_be_written_is_said_and_nothing_is_published():
    # Root is told of it by nothing but the attempt.
    away = "http://127.0.0.1:9"
    command = run("--budget", 0.01, MODELS_DIR="/proc", MLFLOW_TRACKING_URI=away)

    assert command.returncode == 1
    assert re.search(r"/proc cannot be written|Nothing was published: .*/proc/", command.stderr)


def test_republishing_copies_a_version_and_says_so(models_dir, tmp_path):
    _, manifest = read(models_dir)

    command = train(models_dir, tmp_path, "--republish", manifest["version"])

    assert command.returncode == 0
    assert f"a copy of {manifest['version']}" in command.stdout
    newest = max(models_dir.glob("*.json"))
    assert json.loads(newest.read_text())["republished_from"] == manifest["version"]


def test_republishing_what_is_not_there_fails_with_a_sentence(tmp_path):
    command = train(tmp_path, tmp_path, "--republish", "2020_01_01_T00_00_00")

    assert command.returncode == 1
    assert "There is no complete version 2020" in command.stderr


def test_a_large_table_is_compared_on_a_sample_and_trained_on_whole(tmp_path):
    X = np.random.default_rng(0).normal(size=(20_500, 2)).round(3)
    table = pd.DataFrame(X, columns=["a", "b"]).assign(y=np.where(X.sum(axis=1) > 0, "up", "down"))
    table.to_parquet(tmp_path / "large.parquet")

    command = train(
        tmp_path, tmp_path, "--data", tmp_path / "large.parquet", "--target", "y", *NEXT_TO_NOTHING
    )

    assert command.returncode == 0, command.stderr
    assert "Candidates are compared on 20,000 rows drawn from them." in command.stdout
    assert "CalibratedSVC is left out: it is for up to 5,000 rows." in command.stdout
    _, manifest = read(tmp_path)
    assert manifest["dataset"]["rows"] == 20_500
    counts = manifest["features"][0]["histogram"]["counts"]
    assert sum(map(sum, counts.values())) == 20_500


def test_only_the_candidates_that_are_named_are_compared(tmp_path):
    command = train(tmp_path, tmp_path, "--only", "GaussianNB", "--only", "LogisticRegression")

    assert command.returncode == 0, command.stderr
    rows = [line.split()[0] for line in command.stdout.splitlines() if " ± " in line]
    assert sorted(rows) == ["Baseline", "GaussianNB", "LogisticRegression"]
    assert read(tmp_path)[1]["estimator"] == "LogisticRegression"


def test_an_unknown_candidate_is_refused_with_the_names_of_all(tmp_path):
    command = train(tmp_path, tmp_path, "--only", "Oracle")

    assert command.returncode == 1
    assert "There is no candidate Oracle. Choose from Baseline, GaussianNB," in command.stderr
