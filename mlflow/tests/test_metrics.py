import ctypes
import json
import os
import resource
import shutil
import signal
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from conftest import BRIEF
from processes import ROOT, environment, running, train, wait_until

import metrics
from training.candidates import list_candidates


def read(models_dir):
    """The newest pickle in the folder and its manifest."""
    path = max(models_dir.glob("model_*.pkl"))
    return joblib.load(path), json.loads(path.with_suffix(".json").read_text())


@pytest.fixture
def models_dir(published, tmp_path):
    return shutil.copytree(published.models_dir, tmp_path / "models")


@pytest.fixture
def run(light, tmp_path):
    """Run metrics.py where heavy libraries cannot be imported, so it has to do without."""

    def run_light(*arguments, limit=None, **variables):
        command = [sys.executable, ROOT / "mlflow/metrics.py", *map(str, arguments)]
        variables = environment(PYTHONPATH=light, **variables)
        return subprocess.run(
            command, env=variables, cwd=tmp_path, capture_output=True, text=True, preexec_fn=limit
        )

    return run_light


def test_the_command_prints_candidates_choice_and_file(published):
    said = published.command.stdout

    assert "LogisticRegression" in said
    assert "HistGradientBoostingClassifier" in said
    assert said.startswith("Training on Iris.\n")
    assert said.count("  GaussianNB done") == 1
    _, manifest = read(published.models_dir)
    assert f"Chosen {manifest['estimator']}" in said
    assert f"model_{manifest['version']}.pkl" in said


def test_the_manifest_tells_of_table_and_run_and_its_examples_are_what_the_pickle_says(published):
    estimator, manifest = read(published.models_dir)

    assert manifest["dataset"]["rows"] == 150
    assert manifest["mlflow"]["experiment"] == "iris"
    assert manifest["mlflow"]["model_version"] == "1"
    classes = manifest["target"]["classes"]
    assert classes == list(estimator.classes_) == ["setosa", "versicolor", "virginica"]
    for label, example in zip(classes, manifest["examples"], strict=True):
        row = pd.DataFrame([example["inputs"]])
        assert estimator.predict_proba(row)[0] == pytest.approx(example["probabilities"])
        assert estimator.predict(row)[0] == label


def test_what_is_worse_than_the_live_model_is_not_published(models_dir, tmp_path):
    _, live = read(models_dir)

    command = train(models_dir, tmp_path, *BRIEF)

    assert command.returncode == 3, command.stderr
    assert "Not published: the live model is better" in command.stdout
    assert "Live " in command.stdout
    assert read(models_dir)[1] == live


def rename(models_dir, name):
    [path] = models_dir.glob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"name": name}))


def test_force_publishes_it_all_the_same_and_iris_in_another_tables_place(models_dir, tmp_path):
    rename(models_dir, "penguins")
    table = {"DATASET": "nowhere.csv", "TARGET": "y"}

    command = train(models_dir, tmp_path, *BRIEF, "--iris", "--force", **table)

    assert command.returncode == 0, command.stderr
    assert "Live " in command.stdout
    _, manifest = read(models_dir)
    assert (manifest["estimator"], manifest["name"]) == ("Baseline", "iris")


def test_the_first_training_of_another_table_is_not_skipped_nor_compared(models_dir, tmp_path):
    table = pd.DataFrame({"x": range(0, 80, 2), "y": ["a", "b"] * 20}).sample(40, random_state=0)
    table.to_csv(tmp_path / "other table.csv", index=False)
    other = {"DATASET": tmp_path / "other table.csv", "TARGET": "y"}

    command = train(models_dir, tmp_path, "--first", *BRIEF, **other)

    assert command.returncode == 0, command.stderr
    assert "has other features, so it is not compared" in command.stdout
    assert read(models_dir)[1]["name"] == "other table"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--data", "nowhere.csv", "--target", "y"], 1, "There is no file nowhere.csv"),
        (["--data", "nowhere.csv"], 1, "Say which column of nowhere.csv is to be predicted"),
        (["--target", "y"], 2, "name it with --data"),
        (["--sheet", "Sales"], 2, "--encoding and --sheet are for a table"),
        (["--encoding", "cp9999"], 2, "there is no encoding cp9999; use a name like cp1250"),
        (["--encoding", "hex"], 2, "there is no encoding hex"),
        (["--encoding", "unicode_escape"], 2, "there is no encoding unicode_escape"),
        (["--keep", "x"], 2, "--keep, --merge-rare"),
        (["--merge-rare"], 2, "name it with --data"),
        (["--iris", "--data", "t.csv"], 2, "not allowed with argument"),
        (["--name", "a/b"], 2, "use letters, digits, spaces"),
        (["--seed", "-1"], 2, "use a whole number from 0"),
        (["--budget", "nan"], 2, "use a number of minutes above 0"),
        (["--budget", "0"], 2, "use a number of minutes above 0"),
        (["--only", "Oracle"], 2, "invalid choice: 'Oracle'"),
        (["--with-feedback", "--sync"], 2, "--with-feedback is for a training"),
        (["--with-feedback", "--first"], 2, "--with-feedback is for a training"),
        (["--with-feedback", "--republish", "x"], 2, "--with-feedback is for a training"),
        (["--republish", "2020_01_01_T00_00_00"], 1, "There is no complete version 2020"),
    ],
)
def test_what_cannot_be_done_is_said_at_once_without_a_traceback(
    run, arguments, code, message, tmp_path
):
    (tmp_path / "models").mkdir()

    command = run(*arguments, MODELS_DIR=tmp_path / "models")

    assert command.returncode == code
    assert message in command.stderr
    assert "Traceback" not in command.stderr
    assert list((tmp_path / "models").iterdir()) == []


def obey_modes():
    """Let file modes bind root, too."""
    prctl, drop, override = ctypes.CDLL(None).prctl, 24, 1
    prctl(drop, override)


def allow_small_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


def test_what_folder_disk_or_key_do_not_allow_is_said_at_once(run, models_dir, tmp_path):
    (tmp_path / "key.pem").write_text("no key")
    [before] = models_dir.glob("*.pkl")
    version, away = before.stem.removeprefix("model_"), tmp_path / "nowhere"

    missing = run(MODELS_DIR=away)
    models_dir.chmod(0o555)
    closed = run(MODELS_DIR=models_dir, limit=obey_modes)
    models_dir.chmod(0o755)
    full = run("--republish", version, MODELS_DIR=models_dir, limit=allow_small_files)
    unsigned = run(MODELS_DIR=models_dir, MODEL_SIGNING_KEY=tmp_path / "key.pem")

    said = f"There is no folder {away}. Make it, or set MODELS_DIR to another."
    assert missing.stderr.strip() == said
    assert f"{models_dir} cannot be written. Check its owner" in closed.stderr
    assert "Nothing was published: [Errno 27] File too large" in full.stderr
    assert f"The key {tmp_path / 'key.pem'} cannot be used: " in unsigned.stderr
    assert {it.returncode for it in (missing, closed, full, unsigned)} == {1}
    assert sorted(models_dir.iterdir()) == [before.with_suffix(".json"), before]


def test_iris_takes_no_other_tables_place_unasked(run, models_dir):
    rename(models_dir, "penguins")

    command = run(MODELS_DIR=models_dir)

    assert command.returncode == 1
    assert "The live model is of the table penguins, and no table is given." in command.stderr
    assert len(list(models_dir.glob("*.pkl"))) == 1


@pytest.mark.parametrize(
    ("argument", "said"),
    [("--first", "published already"), ("--sync", "Nothing was kept"), ("--help", "--republish")],
)
def test_what_needs_no_training_is_done_at_once(run, models_dir, argument, said, tmp_path):
    command = run(argument, MODELS_DIR=models_dir, UNSENT_RUNS_DIR=tmp_path / "unsent")

    assert command.returncode == 0, command.stderr
    assert said in command.stdout
    assert len(list(models_dir.glob("*.pkl"))) == 1


def test_a_run_kept_by_an_older_version_is_said_with_what_to_do(run, models_dir, tmp_path):
    (tmp_path / "run_1_a.joblib").touch()

    command = run("--sync", MODELS_DIR=models_dir, UNSENT_RUNS_DIR=tmp_path)

    assert command.returncode == 1
    assert command.stderr.strip().endswith(
        f"An older version kept 1 run in {tmp_path}/run_*.joblib. "
        "Send them with that version's --sync, or remove them."
    )
    assert (tmp_path / "run_1_a.joblib").exists()


@pytest.fixture
def keys(tmp_path):
    """The variables that say where the halves are, whose folders are empty."""
    for name in ("private", "public"):
        (tmp_path / name).mkdir()
    return {
        "MODEL_SIGNING_KEY": tmp_path / "private/key.pem",
        "MODEL_PUBLIC_KEY": tmp_path / "public/key.pem",
    }


def test_a_start_makes_the_pair_of_keys_at_once(run, models_dir, keys):
    command = run("--first", MODELS_DIR=models_dir, **keys)

    assert command.returncode == 0, command.stderr
    assert "published already" in command.stdout
    assert command.stderr == ""
    assert all(path.exists() for path in keys.values())


@pytest.mark.parametrize("folder", ["private", "public"])
def test_keys_that_cannot_be_written_keep_no_model_from_being_published(
    run, models_dir, keys, folder, tmp_path
):
    (tmp_path / folder).chmod(0o555)
    version = read(models_dir)[1]["version"]

    command = run("--republish", version, MODELS_DIR=models_dir, limit=obey_modes, **keys)

    assert command.returncode == 0, command.stderr
    assert f"a copy of {version}" in command.stdout
    assert "The pair of keys is not complete: [Errno 13] Permission denied" in command.stderr
    assert ("Models are published unsigned" in command.stderr) == (folder == "private")


def is_running(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("ending", ["Ctrl-C", "a kill"])
def test_a_training_that_is_ended_publishes_nothing_and_leaves_no_process(ending, tmp_path):
    log, models_dir = tmp_path / "log", tmp_path / "models"
    models_dir.mkdir()
    command = [sys.executable, "metrics.py"]
    with (
        log.open("w") as output,
        running(command, "mlflow", output, MODELS_DIR=models_dir) as process,
    ):
        wait_until(lambda: "GaussianNB done" in log.read_text())
        if ending == "Ctrl-C":
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.kill()
        assert process.wait(90) == (1 if ending == "Ctrl-C" else -signal.SIGKILL)
        wait_until(lambda: not is_running(process.pid))

    assert list(models_dir.iterdir()) == []


def test_a_large_table_is_compared_on_a_sample_and_trained_on_whole(tmp_path):
    X = np.random.default_rng(0).normal(size=(20_500, 2)).round(3)
    table = pd.DataFrame(X, columns=["a", "b"]).assign(y=np.where(X.sum(axis=1) > 0, "up", "down"))
    table.to_parquet(tmp_path / "large.parquet")
    named = ("--data", tmp_path / "large.parquet", "--target", "y")

    command = train(tmp_path, tmp_path, *named, "--budget", 1e-6)  # over at once

    assert command.returncode == 0, command.stderr
    assert "Candidates are compared on 20,000 rows drawn from them." in command.stdout
    assert "CalibratedSVC is left out: it is for up to 5,000 rows." in command.stdout
    _, manifest = read(tmp_path)
    assert manifest["dataset"]["rows"] == 20_500
    counts = manifest["features"][0]["histogram"]["counts"]
    assert sum(map(sum, counts.values())) == 20_500


def test_a_table_as_people_write_it_is_read_and_the_manifest_says_how(tmp_path):
    prices = [f"1.{row:03},50 €" for row in range(40)]
    rows = [f"{row};{prices[row]};{'None' if row % 2 else 'ja'}" for row in range(40)]
    rows += [f"{row};7;{label}" for row, label in enumerate(["rot", "rot", "blau", "grün", "grün"])]
    (tmp_path / "t.csv").write_bytes("\n".join(["nr;Preis;größe", *rows]).encode("cp1250"))
    table = ("--data", tmp_path / "t.csv", "--target", "größe", "--encoding", "cp1250")
    choices = ("--keep", "nr", "--category", "größe", "--merge-rare")

    command = train(tmp_path, tmp_path, *table, *choices, *BRIEF)

    assert command.returncode == 0, command.stderr
    assert "Read as cp1250, separated by semicolons, decimal commas, thousands in points." in (
        command.stdout
    )
    _, manifest = read(tmp_path)
    assert manifest["target"]["classes"] == ["None", "ja", "other"]
    assert manifest["written"]["encoding"] == "cp1250"
    assert "written" not in manifest["features"][0]
    assert manifest["features"][1]["written"] == {"decimal": ",", "thousands": ".", "affix": "€"}
    assert manifest["features"][1]["unit"] == "€"


def test_a_baseline_is_not_published_for_a_candidate_that_could_not_be_compared(tmp_path):
    rows = "".join(f"{i * 0.37 % 3:.2f},{'ab'[i % 2]}\n" for i in range(5_001))
    (tmp_path / "long.csv").write_text(f"x,y\n{rows}")
    table = ("--data", tmp_path / "long.csv", "--target", "y")

    command = train(tmp_path, tmp_path, *table, "--only", "CalibratedSVC")

    assert command.returncode == 1
    assert "CalibratedSVC is left out: it is for up to 5,000 rows." in command.stdout
    assert "Not one of the candidates that --only names could be compared" in command.stderr
    assert not list(tmp_path.glob("*.pkl"))


def test_only_the_candidates_that_are_named_are_compared(tmp_path):
    command = train(tmp_path, tmp_path, "--only", "GaussianNB", "--only", "LogisticRegression")

    assert command.returncode == 0, command.stderr
    rows = [line.split()[0] for line in command.stdout.splitlines() if " ± " in line]
    assert sorted(rows) == ["Baseline", "GaussianNB", "LogisticRegression"]
    assert read(tmp_path)[1]["estimator"] == "LogisticRegression"


def test_the_command_knows_the_names_of_all_candidates():
    assert [it.name for it in list_candidates(seed=0)] == list(metrics.CANDIDATES)
