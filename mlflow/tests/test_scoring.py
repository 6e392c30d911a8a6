"""The command, its files, and what happens to them when it is killed."""

import csv
import ctypes
import gzip
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import warm
from processes import ROOT, environment, list_processes, running, train, wait_until
from test_cluster import cluster, own_cluster, scheduler  # noqa: F401  # fixtures

from jobs import Output
from scorer import gather
from sources import File, Partition

NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
COMMAND = [sys.executable, str(ROOT / "mlflow/scoring.py")]
FILES = 24


@pytest.fixture
def score(published):
    def run(*arguments, variables=None, **options):
        command = [*COMMAND, *map(str, arguments)]
        variables = {"MODELS_DIR": published.models_dir, **(variables or {})}
        options["env"] = environment(**variables)
        if "preexec_fn" in options or "PYTHONPATH" in variables:  # a cold start
            return subprocess.run(command, capture_output=True, text=True, **options)
        return warm.run(command, **options)

    return run


def draw(rows, seed=0):
    X = np.random.default_rng(seed).uniform([4, 2, 1, 0], [8, 4, 7, 2.5], (rows, 4)).round(1)
    return pd.DataFrame(X, columns=NAMES)


TABLE = draw(500).assign(id=[f"row {it}" for it in range(500)])


@pytest.fixture
def table(tmp_path):
    """A small CSV file with a column of its own."""
    path = tmp_path / "in.csv"
    TABLE.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """As many partitions as files."""
    path = tmp_path_factory.mktemp("many")
    for it in range(FILES):
        draw(20_000, seed=it).to_parquet(path / f"{it:02}.parquet")
    return path


@pytest.fixture(scope="module")
def done(folder, published, tmp_path_factory):
    """The folder that a run makes which nothing disturbs."""
    out = tmp_path_factory.mktemp("whole") / "out"
    variables = environment(MODELS_DIR=published.models_dir)
    assert warm.run([*COMMAND, str(folder), str(out)], env=variables).returncode == 0
    return out


@pytest.fixture(scope="module")
def whole(done):
    return read_files(done)


def read_files(out):
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name[0] not in "._"}


def probabilities_of(published, frame):
    estimator = joblib.load(max(published.models_dir.glob("*.pkl")))
    return estimator.predict_proba(frame[NAMES]), list(estimator.classes_)


def test_a_file_is_scored_into_a_file_without_the_cluster_too(score, published, table, tmp_path):
    away = {"DASK_SCHEDULER_ADDRESS": "tcp://127.0.0.1:9"}

    done = score(table, tmp_path / "out.csv", variables=away)

    assert done.returncode == 0, done.stderr
    assert "The cluster at tcp://127.0.0.1:9 is not used" in done.stderr
    assert done.stdout.startswith(f"Scoring {tmp_path}/in.csv with model 20")
    assert f"500 of 500 rows are in {tmp_path}/out.csv." in done.stdout
    assert "rows a second" in done.stdout
    scored = pd.read_csv(tmp_path / "out.csv")
    expected, classes = probabilities_of(published, TABLE)
    found = scored[[f"probability_{it}" for it in classes]].to_numpy()
    assert found == pytest.approx(expected, abs=1e-12)
    assert scored["prediction_class"].tolist() == [classes[it] for it in expected.argmax(axis=1)]
    assert scored["id"].tolist() == TABLE["id"].tolist()
    assert sorted(it.name for it in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_a_folder_is_scored_into_a_folder(whole):
    assert sorted(whole) == [f"part-{it:06}.parquet" for it in range(FILES)]


def test_parts_are_joined_in_the_order_of_the_rows(score, folder, tmp_path):
    done = score(folder, tmp_path / "out.parquet")

    assert done.returncode == 0, done.stderr
    joined = pq.read_table(tmp_path / "out.parquet")
    rows = pd.concat([pd.read_parquet(it) for it in sorted(folder.iterdir())])
    assert np.array_equal(joined.select(NAMES).to_pandas().to_numpy(), rows.to_numpy())
    assert joined.schema.field("prediction_class").type.value_type == "string"
    assert list(tmp_path.iterdir()) == [tmp_path / "out.parquet"]


def test_bad_rows_are_beside_with_their_numbers_and_reasons(score, tmp_path):
    source = tmp_path / "many"
    source.mkdir()
    for name in ("a", "b"):
        with gzip.open(source / f"{name}.csv.gz", "wt") as file:
            file.write(f"{','.join(NAMES)}\n5.1,3.5,1.4,0.2\n{name},3.5,1.4,0.2\n5.1,3.5,1.4\n")

    done = score(source, tmp_path / "out")

    assert done.returncode == 3, done.stderr
    assert f"4 bad rows are not, and {tmp_path}/out/_bad.csv says why." in done.stdout
    with (tmp_path / "out/_bad.csv").open(newline="") as file:
        bad = list(csv.DictReader(file))
    assert [(it["file"], it["row"], it["column"]) for it in bad] == [
        (f"{source}/{name}.csv.gz", row, column)
        for name in ("a", "b")
        for row, column in (("2", "sepal_length"), ("3", ""))
    ]
    assert bad[0]["reason"] == "sepal_length must be a number."


def test_rows_are_numbered_through_the_parts_of_a_file(score, tmp_path):
    frame = draw(60_000).assign(note="x" * 200)
    frame.loc[59_990, "petal_width"] = None
    frame.to_csv(tmp_path / "in.csv", index=False)

    done = score(tmp_path / "in.csv", tmp_path / "out.csv")

    assert done.returncode == 3, done.stderr
    bad = pd.read_csv(tmp_path / "out.csv.bad.csv")
    assert bad["row"].tolist() == [59_991]
    assert len(pd.read_csv(tmp_path / "out.csv")) == 59_999


@pytest.fixture
def start(folder, published):
    """Scores the folder, and does not wait."""

    def start_into(out, source=folder, said=subprocess.DEVNULL, **variables):
        command = [*COMMAND, str(source), str(out)]
        variables = {"MODELS_DIR": published.models_dir, **variables}
        return running(command, ".", said, **variables)

    return start_into


def test_after_a_kill_the_same_command_makes_the_same_files(start, score, folder, whole, tmp_path):
    out = tmp_path / "out"
    with start(out) as process:
        wait_until(lambda: len(list(out.glob("part-*"))) >= 3)
        workers = [pid for pid, _ in list_processes(process.pid)]
        process.kill()
        process.wait()
        wait_until(lambda: not any(is_alive(pid) for pid in workers))
    before = read_files(out)
    assert 3 <= len(before) < FILES
    kept = min(before)
    written = (out / kept).stat().st_mtime_ns

    done = score(folder, out)

    assert done.returncode == 0, done.stderr
    assert read_files(out) == whole
    assert (out / kept).stat().st_mtime_ns == written
    assert sorted(it.name for it in out.iterdir() if it.name[0] in "._") == ["_job.json"]


def is_alive(pid):
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_a_worker_that_is_killed_changes_nothing(start, whole, tmp_path):
    out = tmp_path / "out"
    with start(out) as process:
        wait_until(lambda: list(out.glob("part-*")))
        newest = max(pid for pid, _ in list_processes(process.pid))
        os.kill(newest, signal.SIGKILL)
        assert process.wait(120) == 0

    assert read_files(out) == whole


def test_a_full_disk_leaves_nothing_half_written(score, folder, whole, tmp_path):
    out = tmp_path / "out"

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = score(folder, out, preexec_fn=limit)

    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert "Mend that, and the same command goes on from here." in done.stderr
    assert read_files(out) == {}
    assert score(folder, out).returncode == 0
    assert read_files(out) == whole


def test_what_is_done_is_not_done_again(score, folder, done):
    before = {path: path.stat().st_mtime_ns for path in done.iterdir()}

    again = score(folder, done)

    assert again.returncode == 0
    assert "Scored already: 480,000 of 480,000 rows" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in done.iterdir()} == before


def test_an_input_that_changes_while_workers_are_awaited_is_noticed(
    start,
    table,
    tmp_path,
    cluster,  # noqa: F811  # that fixture
):
    out, said = tmp_path / "out", tmp_path / "said"
    with (
        said.open("w") as file,
        start(out, table, file, DASK_SCHEDULER_ADDRESS=cluster.address) as process,
    ):
        wait_until((out / "_job.json").exists)
        TABLE.assign(id="").to_csv(table, index=False)
        assert process.wait(120) == 1

    assert f"{table} has changed since the scoring began" in said.read_text()
    assert read_files(out) == {}


def test_a_file_that_is_put_at_out_after_a_kill_is_kept(score, table, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    out = tmp_path / "out.csv"
    assert score(table, out, preexec_fn=limit).returncode == 1
    out.write_text("theirs")

    done = score(table, out)

    assert done.returncode == 1
    assert f"{out} is there already. Remove it, or name another OUT" in done.stderr
    assert out.read_text() == "theirs"
    out.unlink()
    assert score(table, out).returncode == 0
    assert len(pd.read_csv(out)) == 500


def obey_modes():
    """Let no file's mode be passed over, though the tests run as root."""
    prctl, drop, override, search = ctypes.CDLL(None).prctl, 24, 1, 2
    prctl(drop, override)
    prctl(drop, search)


def test_a_folder_that_cannot_be_listed_is_named(score, table, tmp_path):
    inside = tmp_path / "in/2025"
    inside.mkdir(parents=True)
    shutil.copy(table, tmp_path / "in")
    inside.chmod(0)

    done = score(tmp_path / "in", tmp_path / "out", preexec_fn=obey_modes)

    inside.chmod(0o700)
    assert done.returncode == 1
    assert f"The folder {inside} cannot be listed: Permission denied" in done.stderr
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_removed_does_not_make_a_done_scoring_fail(score, table, tmp_path):
    left = tmp_path / ".out.csv.parts/.left"
    (left / "behind").mkdir(parents=True)
    left.chmod(0)

    done = score(table, tmp_path / "out.csv", preexec_fn=obey_modes)

    left.chmod(0o700)
    assert done.returncode == 0, done.stderr
    assert len(pd.read_csv(tmp_path / "out.csv")) == 500


def test_of_gzip_no_more_is_held_for_many_cores_than_for_four():
    file = File(Path("in.csv.gz"), 0, 0)
    part = Partition(0, file, 0, 0, 0, bytes(8 * 1024**2))

    waves = list(gather(iter([part] * 100), cores=64))

    assert [len(it) for it in waves] == [32, 32, 32, 4]


def test_what_was_begun_goes_on_with_no_newer_model_nor_another_input(
    score, table, tmp_path, published
):
    models = shutil.copytree(published.models_dir, tmp_path / "models")
    first = min(models.glob("*.pkl")).stem.removeprefix("model_")
    assert score(table, tmp_path / "out").returncode == 0
    assert train(models, tmp_path, "--republish", first).returncode == 0
    newest = max(models.glob("*.pkl")).stem.removeprefix("model_")
    variables = {"MODELS_DIR": models}

    same = score(table, tmp_path / "out", variables=variables)
    new = score(table, tmp_path / "new", variables=variables)
    mixed = score(table, tmp_path / "out", "--version", newest, variables=variables)

    assert f"with model {first}" in same.stdout
    assert f"with model {newest}" in new.stdout
    assert mixed.returncode == 1
    assert f"was begun as version {first}, and this is version {newest}" in mixed.stderr
    TABLE.assign(id="").to_csv(table, index=False)
    other = score(table, tmp_path / "out", variables=variables)
    assert other.returncode == 1
    assert "was begun with another input. Name another OUT, or remove" in other.stderr


def test_two_do_not_write_the_same(score, table, tmp_path):
    with Output(tmp_path / "out").begin({}):
        done = score(table, tmp_path / "out")

    assert done.returncode == 1
    assert "Another scoring writes" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.csv", "out.csv"], "There is no file nowhere.csv"),
        (["in.csv", "in.csv"], "OUT is in.csv, or lies in it"),
        ([".", "out.csv"], "OUT is ., or lies in it"),
        (["in.csv", "nowhere/out.csv"], "cannot be written: No such file or directory"),
        (["in.csv", "in.csv/out"], "cannot be written: Not a directory"),
        (["in.csv", "full"], "holds other files"),
        (["in.csv", "there.csv"], "is there already. Remove it, or name another OUT"),
        (["in.csv", "it.csv"], "it.csv.bad.csv is there already. Remove it, or name another"),
        (["in.csv", "out", "--version", "1"], "There is no version 1"),
    ],
)
def test_what_cannot_be_done_is_said_at_once_and_leaves_nothing(
    score, table, light, arguments, said
):
    require_refusal(partial(score, variables={"PYTHONPATH": light}), table, arguments, said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["other.csv", "out"], "needs the columns petal_width, which are not there"),
        (["answered.csv", "out"], "prediction_class is a column of the answer"),
    ],
)
def test_what_the_model_cannot_do_is_said_and_leaves_nothing(score, table, arguments, said):
    require_refusal(score, table, arguments, said)


def require_refusal(score, table, arguments, said):
    tmp_path = table.parent
    (tmp_path / "full").mkdir()
    (tmp_path / "full/other").touch()
    (tmp_path / "there.csv").touch()
    (tmp_path / "it.csv.bad.csv").touch()
    TABLE.drop(columns="petal_width").to_csv(table.with_name("other.csv"))
    TABLE.assign(prediction_class="").to_csv(table.with_name("answered.csv"))
    before = set(tmp_path.rglob("*"))

    done = score(*arguments, cwd=tmp_path)

    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert set(tmp_path.rglob("*")) == before


def test_only_verified_models_score(score, table, tmp_path, published):
    models = shutil.copytree(published.models_dir, tmp_path / "models")
    [path] = models.glob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sha256": "0" * 64}))

    done = score(table, tmp_path / "out", variables={"MODELS_DIR": models})

    assert done.returncode == 1
    assert "is refused. Its SHA-256 is not the one in its manifest." in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture
def two_workers(own_cluster):  # noqa: F811  # that fixture
    for _ in range(2):
        own_cluster.start_worker()
    return own_cluster


def test_a_cluster_makes_the_same_files(score, folder, whole, two_workers, tmp_path):
    variables = {"DASK_SCHEDULER_ADDRESS": two_workers.address}

    done = score(folder, tmp_path / "out", variables=variables)

    assert done.returncode == 0, done.stderr
    assert "Workers of the cluster: " in done.stdout
    assert done.stderr == ""
    assert read_files(tmp_path / "out") == whole


@pytest.mark.parametrize("lost", ["worker", "scheduler"])
def test_what_a_cluster_loses_is_scored_all_the_same(lost, start, whole, two_workers, tmp_path):
    out = tmp_path / "out"
    with start(out, DASK_SCHEDULER_ADDRESS=two_workers.address) as process:
        wait_until(lambda: len(list(out.glob("part-*"))) >= 2)
        (two_workers.scheduler if lost == "scheduler" else two_workers.workers[0]).kill()
        assert process.wait(180) == 0

    assert read_files(out) == whole
