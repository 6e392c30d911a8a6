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
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import warm
from conftest import NAMES, VERSION, fit, publish_in
from processes import ROOT, environment, list_processes, running, wait_until

from files.output import Output
from worker.media import Format

COMMAND = [sys.executable, str(ROOT / "backend/scoring.py")]
FILES = 12
NEWER = "2026_11_22_T20_44_20"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    publish_in(folder)
    return folder


@pytest.fixture
def score(models):
    def run(*arguments, variables=None, **options):
        options["env"] = environment(**{"MODELS_DIR": models, **(variables or {})})
        command = [*COMMAND, *map(str, arguments)]
        if "preexec_fn" in options:  # a cold start
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
    """As many parts as files."""
    path = tmp_path_factory.mktemp("many")
    for it in range(FILES):
        draw(20_000, seed=it).to_parquet(path / f"{it:02}.parquet")
    return path


@pytest.fixture(scope="module")
def done(folder, models, tmp_path_factory):
    """The folder that a run makes which nothing disturbs."""
    out = tmp_path_factory.mktemp("whole") / "out"
    command = [*COMMAND, str(folder), str(out)]
    assert warm.run(command, env=environment(MODELS_DIR=models)).returncode == 0
    return out


@pytest.fixture(scope="module")
def whole(done):
    return read_files(done)


def read_files(out):
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name[0] not in "._"}


def read_bad(path):
    with path.open(newline="") as file:
        return [(it["row"], it["column"], it["reason"]) for it in csv.DictReader(file)]


def test_a_file_is_scored_into_a_file(score, table, tmp_path):
    done = score(table, tmp_path / "out.csv")

    assert done.returncode == 0, done.stderr
    said = f"Scoring {tmp_path}/in.csv with model {VERSION}."
    assert done.stdout.startswith(f"{said}\nRead as UTF-8, separated by commas.\n")
    assert f"500 of 500 rows are in {tmp_path}/out.csv." in done.stdout
    assert "rows a second" in done.stdout
    scored = pd.read_csv(tmp_path / "out.csv")
    expected, classes = fit().predict_proba(TABLE[NAMES].to_numpy()), list(fit().classes_)
    names = [f"probability_{it}" for it in classes]
    added = ["prediction", "prediction_class", *names, "model_version"]
    assert list(scored) == [*NAMES, "id", *added]
    assert scored[names].to_numpy() == pytest.approx(expected, abs=1e-12)
    assert scored["prediction"].tolist() == expected.argmax(axis=1).tolist()
    assert scored["prediction_class"].tolist() == [classes[it] for it in expected.argmax(axis=1)]
    assert set(scored["model_version"]) == {VERSION}
    assert scored["id"].tolist() == TABLE["id"].tolist()
    assert sorted(it.name for it in tmp_path.iterdir()) == ["in.csv", "out.csv"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_columns_named_like_the_answers_stay_and_the_answers_are_renamed(score, table, ending):
    TABLE.assign(prediction="mine").to_csv(table, index=False)

    done = score(table, out := table.with_name(f"out.{ending}"))

    assert done.returncode == 0, done.stderr
    scored = pd.read_csv(out) if ending == "csv" else pd.read_parquet(out)
    assert set(scored["prediction"]) == {"mine"}
    assert "The columns of the answer begin with model_, as others have their names." in done.stdout
    answers = [name for name in scored if name not in [*TABLE, "prediction"]]
    assert answers[:2] == ["model_prediction", "model_prediction_class"]
    assert answers[-1] == "model_model_version"


def test_a_folder_that_holds_the_output_too_is_scored_without_it(score, table):
    outputs = [table.parent / name for name in ("out", "out", "out/one.csv", "out/other.csv")]

    done = [score(table.parent, output) for output in outputs]

    for run in done:
        assert run.returncode == 0, run.stderr
        assert "500 of 500 rows" in run.stdout
    said = f"{table.parent}/out is left out with its"
    assert [said in run.stdout for run in done] == [False, True, True, True]


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
        with gzip.open(source / f"{name}.csv.gz", "wb") as file:
            file.write(f"{','.join(NAMES)},note\n5.1,3.5,1.4,0.2,\n{name},3.5,1.4,,\n".encode())
            file.write(b"5.1,3.5,1.4,,,\n5.1,3.5,1.4,inf,\n1e308,-1e308,1,1,\n")

    done = score(source, tmp_path / "out")

    assert done.returncode == 3, done.stderr
    assert f"8 bad rows are not, and {tmp_path}/out/_bad.csv says why." in done.stdout
    with (tmp_path / "out/_bad.csv").open(newline="") as file:
        files = [it["file"] for it in csv.DictReader(file)]
    bad = read_bad(tmp_path / "out/_bad.csv")
    assert files == [f"{source}/a.csv.gz"] * 5 + [f"{source}/b.csv.gz"] * 5
    assert bad[:5] == bad[5:]
    assert bad[:5] == [
        ("2", "sepal_length", "sepal_length must be a number."),
        ("2", "petal_width", "petal_width is missing."),
        ("3", "", "It has 6 cells, and the header has 5."),
        ("4", "petal_width", "petal_width must be a finite number."),
        ("5", "", "The model has no answer to values this large or this unusual."),
    ]


def test_parts_of_csv_have_one_header_and_numbers_that_go_on(score, tmp_path):
    frame = draw(60_000).assign(**{"a\nnote": "x" * 200})
    frame.loc[59_990, "petal_width"] = None
    frame.to_csv(tmp_path / "in.csv", index=False)

    done = score(tmp_path / "in.csv", tmp_path / "out.csv")

    assert done.returncode == 3, done.stderr
    assert [row for row, _, _ in read_bad(tmp_path / "out.csv.bad.csv")] == ["59991"]
    scored = pd.read_csv(tmp_path / "out.csv")
    assert scored[list(frame)].equals(frame.drop(59_990).reset_index(drop=True))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_bad_rows_alone_are_an_empty_table(score, tmp_path, ending):
    draw(3).assign(petal_width=None).to_csv(tmp_path / "in.csv", index=False)
    out = tmp_path / f"out.{ending}"

    assert score(tmp_path / "in.csv", out).returncode == 3

    scored = pd.read_csv(out) if ending == "csv" else pd.read_parquet(out)
    assert len(scored) == 0
    assert "prediction_class" in scored
    assert len(read_bad(tmp_path / f"out.{ending}.bad.csv")) == 3


def test_semicolons_let_commas_separate_decimals(score, tmp_path):
    TABLE.to_csv(tmp_path / "in.csv", index=False, sep=";", decimal=",")

    assert score(tmp_path / "in.csv", tmp_path / "out.parquet").returncode == 0

    scored = pd.read_parquet(tmp_path / "out.parquet")
    assert scored[NAMES].to_numpy() == pytest.approx(TABLE[NAMES].to_numpy())


def test_lists_have_no_place_in_csv(score, tmp_path):
    columns = {name: TABLE[name].to_list() for name in NAMES}
    pq.write_table(pa.table({**columns, "note": [[1]] * 500}), tmp_path / "in.parquet")

    done = score(tmp_path / "in.parquet", tmp_path / "out.csv")

    assert done.returncode == 1
    assert "note is of type list<" in done.stderr
    assert score(tmp_path / "in.parquet", tmp_path / "out.parquet").returncode == 0


@pytest.fixture
def start(folder, models):
    """Scores the folder, and does not wait."""

    def start_into(out, said=subprocess.DEVNULL):
        return running([*COMMAND, str(folder), str(out)], ".", said, MODELS_DIR=models)

    return start_into


def test_after_a_kill_the_same_command_makes_the_same_files(start, score, folder, whole, tmp_path):
    out = tmp_path / "out"
    with start(out) as process:
        wait_until(lambda: len(list(out.glob("part-*"))) >= 3)
        process.kill()
        process.wait()
    before = read_files(out)
    assert 3 <= len(before) < FILES
    kept = min(before)
    written = (out / kept).stat().st_mtime_ns

    done = score(folder, out)

    assert done.returncode == 0, done.stderr
    assert read_files(out) == whole
    assert (out / kept).stat().st_mtime_ns == written
    assert sorted(it.name for it in out.iterdir() if it.name[0] in "._") == ["_job.json"]


def test_ctrl_c_says_how_to_go_on_and_leaves_no_process(start, tmp_path):
    out, said = tmp_path / "out", tmp_path / "said"
    with said.open("w") as file, start(out, file) as process:
        wait_until(lambda: list(out.glob("part-*")))
        others = [pid for pid, _ in list_processes(process.pid)]
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 1
        wait_until(lambda: not any(map(is_alive, others)))

    assert said.read_text().endswith("\nStopped. The same command resumes it.\n")
    assert "Traceback" not in said.read_text()


def is_alive(pid):
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_a_process_that_is_killed_changes_nothing(start, whole, tmp_path):
    out = tmp_path / "out"
    with start(out) as process:
        wait_until(lambda: list(out.glob("part-*")))
        os.kill(max(pid for pid, _ in list_processes(process.pid)), signal.SIGKILL)
        assert process.wait(120) == 0

    assert read_files(out) == whole


def test_a_full_disk_leaves_nothing_half_written(score, folder, whole, tmp_path):
    out = tmp_path / "out"

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = score(folder, out, preexec_fn=limit)

    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert "Fix it, and the same command resumes." in done.stderr
    assert read_files(out) == {}
    assert score(folder, out).returncode == 0
    assert read_files(out) == whole


def test_what_is_done_is_not_done_again(score, folder, done):
    before = {path: path.stat().st_mtime_ns for path in done.iterdir()}

    again = score(folder, done)

    assert again.returncode == 0
    assert "Scored already: 240,000 of 240,000 rows" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in done.iterdir()} == before


def test_the_last_of_several_commands_joins_what_each_has_scored(score, folder, whole, tmp_path):
    first = score(folder, tmp_path / "out.parquet", "--part", "1/3")
    others = [score(folder, tmp_path / "out", "--part", f"{it}/3") for it in (3, 1)]

    assert first.returncode == 0, first.stderr
    assert "80,000 of 80,000 rows of part 1/3." in first.stdout
    assert not (tmp_path / "out.parquet").exists()
    assert [it.returncode for it in others] == [0, 0]
    assert sorted(read_files(tmp_path / "out")) == [
        f"part-{it:06}.parquet" for it in range(FILES) if it % 3 != 1
    ]
    last = score(folder, tmp_path / "out", "--part", "2/3")
    assert f"Joined: 240,000 of 240,000 rows are in {tmp_path}/out." in last.stdout
    assert read_files(tmp_path / "out") == whole
    assert "Scored already" in score(folder, tmp_path / "out", "--part", "2/3").stdout


def test_commands_at_the_same_time_join_their_parts_once(folder, models, tmp_path):
    out = tmp_path / "out.parquet"
    commands = [[*COMMAND, str(folder), str(out), "--part", f"{it}/2"] for it in (1, 2)]
    started = [
        warm.Popen(it, env=environment(MODELS_DIR=models), stdout=subprocess.PIPE, text=True)
        for it in commands
    ]

    said = [it.communicate()[0] for it in started]

    assert [it.returncode for it in started] == [0, 0], said
    assert sum("Joined: 240,000" in it for it in said) == 1
    assert pq.read_metadata(out).num_rows == 240_000
    assert [it.name for it in tmp_path.glob(".*/*")] == ["_job.json"]


def test_what_answers_warn_of_is_said_at_the_end(score, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "c"):
        unusual = draw(9).clip(0.1, 7.9).assign(sepal_length=[0, 9, *[5] * 7])
        unusual.to_csv(tmp_path / f"in/{name}.csv", index=False)
    said = "sepal_length: {} rows out of range.\n"

    ends = [score(tmp_path / "in", tmp_path / "out", "--part", f"{it}/2") for it in (1, 2, 2)]

    assert ends[0].stdout.endswith(f"18 of 18 rows of part 1/2.\n{said.format(4)}")
    for end in (*ends[1:], score(tmp_path / "in", tmp_path / "whole")):
        assert end.stdout.endswith(f".\n{said.format(6)}"), end.stderr


def test_a_command_that_comes_too_late_for_its_part_says_so(score, table, tmp_path):
    first, second = (score(table, tmp_path / "out.csv", "--part", f"{it}/2") for it in (1, 2))

    assert "Joined: 500 of 500 rows" in first.stdout
    assert second.returncode == 0
    assert "Scored already: 500 of 500 rows" in second.stdout
    assert score(table, tmp_path / "out.csv").returncode == 0
    assert sorted(it.name for it in tmp_path.iterdir()) == ["in.csv", "out.csv"]


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b"])
def test_a_part_that_does_not_exist_is_refused(score, table, tmp_path, part):
    done = score(table, tmp_path / "out", "--part", part)

    assert done.returncode == 2
    assert "argument --part" in done.stderr


def test_no_workbook_is_written(score, table, tmp_path):
    done = score(table, tmp_path / "out.xlsx")

    assert done.returncode == 2
    assert "argument OUT: it can end in .csv or .parquet" in done.stderr


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


def test_what_was_begun_resumes_with_no_newer_model_nor_another_input(
    score, table, tmp_path, models
):
    here = shutil.copytree(models, tmp_path / "models")
    variables = {"MODELS_DIR": here}
    assert score(table, tmp_path / "out").returncode == 0
    publish_in(here, NEWER)

    same = score(table, tmp_path / "out", variables=variables)
    new = score(table, tmp_path / "new", variables=variables)
    mixed = score(table, tmp_path / "out", "--version", NEWER, variables=variables)

    assert f"with model {VERSION}" in same.stdout
    assert f"with model {NEWER}" in new.stdout
    assert mixed.returncode == 1
    assert f"was begun as version {VERSION}, and this is version {NEWER}" in mixed.stderr
    TABLE.assign(id="").to_csv(table, index=False)
    other = score(table, tmp_path / "out", variables=variables)
    assert other.returncode == 1
    assert "was begun with another input. Name another OUT, or remove" in other.stderr


@pytest.mark.parametrize("arguments", [[], ["--part", "1/2"]])
def test_two_do_not_write_the_same(score, table, tmp_path, arguments):
    with Output(tmp_path / "out").begin(Format.CSV, {}):
        done = score(table, tmp_path / "out", *arguments)

    assert done.returncode == 1
    assert "Another scoring writes" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.csv", "out.csv"], "There is no file nowhere.csv"),
        (["in.csv", "in.csv"], "OUT is in.csv, or a file in it"),
        ([".", "out.csv"], "OUT is ., or a file in it"),
        (["in.csv", "nowhere/out.csv"], "cannot be written: No such file or directory"),
        (["in.csv", "in.csv/out"], "cannot be written: Not a directory"),
        (["in.csv", "full"], "holds other files"),
        (["in.csv", "there.csv"], "is there already. Remove it, or name another OUT"),
        (["in.csv", "it.csv"], "it.csv.bad.csv is there already. Remove it, or name another"),
        (["in.csv", "out", "--version", "1"], "There is no version 1"),
        (["other.csv", "out"], "There is no column petal_width. The columns are"),
        (["days.parquet", "out"], "petal_width must be a number. Its column is of type"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(score, table, arguments, said):
    tmp_path = table.parent
    (tmp_path / "full").mkdir()
    (tmp_path / "full/other").touch()
    (tmp_path / "there.csv").touch()
    (tmp_path / "it.csv.bad.csv").touch()
    TABLE.drop(columns="petal_width").to_csv(table.with_name("other.csv"))
    TABLE.assign(petal_width=pd.Timestamp(0)).to_parquet(table.with_name("days.parquet"))
    before = set(tmp_path.rglob("*"))

    done = score(*arguments, cwd=tmp_path)

    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("is_there", [True, False])
def test_only_verified_models_score(score, table, tmp_path, models, is_there):
    here = shutil.copytree(models, tmp_path / "models")
    [path] = here.glob("*.json")
    if is_there:
        path.write_text(json.dumps(json.loads(path.read_text()) | {"sha256": "0" * 64}))
    else:
        path.unlink()

    done = score(table, tmp_path / "out", variables={"MODELS_DIR": here})

    said = "Its SHA-256 is not the one in its manifest." if is_there else f"There is no {path.name}"
    assert done.returncode == 1
    assert f"The model {VERSION} is refused. {said}" in done.stderr
    assert not (tmp_path / "out").exists()


def test_without_a_model_the_way_to_one_is_said(score, table, tmp_path):
    done = score(table, tmp_path / "out", variables={"MODELS_DIR": tmp_path})

    assert done.returncode == 1
    assert f"No model is published in {tmp_path}. Train one first." in done.stderr
