"""A program that starts warm is a process of its own and does what it does after a cold start."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import warm
from processes import (
    INSTANCE,
    ROOT,
    environment,
    running_backend,
    running_frontend,
    running_mlflow,
    train,
)

TABLE = "x,y\n" + "".join(f"{i * 0.37 % 3 + i % 2:.2f},{'ab'[i % 2]}\n" for i in range(40))


@pytest.fixture
def twice(monkeypatch):
    """What a function returns when programs start warm, and what when they start cold."""

    def call(function):
        warmly = function("warm")
        monkeypatch.setattr(warm, "PROGRAMS", {})
        monkeypatch.setattr(warm, "make_programs", lambda *_: Path(sys.executable).parent)
        return warmly, function("cold")

    return call


def test_a_training_publishes_the_same_pickle_which_scores_the_same(twice, tmp_path):
    (tmp_path / "t.csv").write_text(TABLE)

    def train_and_score(start):
        folder, out = tmp_path / start, tmp_path / f"{start}.csv"
        folder.mkdir()
        options = ("--data", tmp_path / "t.csv", "--target", "y", "--only", "GaussianNB")
        done = train(folder, folder, *options)
        assert done.returncode == 0, done.stderr
        command = [sys.executable, ROOT / "backend/scoring.py", tmp_path / "t.csv", out]
        done = warm.run(command, env=environment(MODELS_DIR=folder))
        assert done.returncode == 0, done.stderr
        [published] = folder.glob("*.pkl")
        # The version is the time of the training.
        return published.read_bytes(), out.read_text().replace(published.stem[6:], "")

    (warm_pickle, warm_scores), cold = twice(train_and_score)

    assert (warm_pickle, warm_scores) == cold
    assert warm_scores.count("\n") == TABLE.count("\n")


def test_a_backend_and_a_page_answer_the_same(twice, published):
    def ask(_):
        with (
            running_backend(published.models_dir) as url,
            running_frontend(url) as page,
        ):
            answer = requests.post(f"{url}/predict", json=INSTANCE).json() | {"prediction_id": ""}
            return answer, requests.get(f"{url}/models/live").json(), requests.get(page).text

    warmly, coldly = twice(ask)

    assert warmly == coldly


def test_a_tracking_server_answers_the_same(twice, tmp_path):
    (tmp_path / "model.pkl").touch()  # or it would train one
    login = {"MLFLOW_SERVER_ALLOWED_HOSTS": "127.0.0.1:*"}

    def ask(_):
        with running_mlflow(tmp_path, tmp_path, **login) as url:
            found = requests.get(f"{url}/api/2.0/mlflow/experiments/search?max_results=9")
            strange = requests.get(url, headers={"Host": "elsewhere"})
            return found.json(), strange.status_code, strange.text, requests.get(url).text

    warmly, coldly = twice(ask)

    assert warmly == coldly
    assert warmly[1] == 403


# What follows runs as `dask`, whose program it takes the place of.
@pytest.fixture(params=["by Popen", "by a program on the PATH"])
def program(request, tmp_path):
    is_direct = request.param == "by Popen"
    python = sys.executable if is_direct else str(warm.make_programs("trainer") / "python")

    def write(code):
        (tmp_path / "dask").write_text(code)
        return [python, str(tmp_path / "dask"), "one", "two"]

    return write


def test_a_program_has_its_own_folder_environment_arguments_streams_and_end(program, tmp_path):
    said = "import os, sys; print(os.getcwd(), dict(os.environ), sys.argv[1:], sys.stdin.read())"
    command = program(f"{said}; print(sys.path[0], file=sys.stderr); sys.exit(7)")
    # With LC_ALL, or Python would add a variable.
    variables = {"PATH": "x", "LC_ALL": "C.UTF-8"}
    options = {"cwd": "/", "env": variables, "stdin": subprocess.PIPE}

    with warm.Popen(command, stdout=-1, stderr=-1, text=True, **options) as process:
        out, err = process.communicate("in")

    assert out == f"/ {variables} ['one', 'two'] in\n"
    assert (err, process.returncode) == (f"{tmp_path}\n", 7)
    failed = warm.run(program("1 / 0"))
    assert failed.returncode == 1
    assert failed.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_a_signal_reaches_a_program_alone_and_its_group_with_its_children(program):
    # Both write to one stream, so each a line at once.
    command = program("import os; os.fork(); os.write(1, b'%d\\n' % os.getpgrp()); input()")
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "start_new_session": True}

    with warm.Popen(command, **options) as process, warm.Popen(command, **options) as other:
        groups = {int(process.stdout.readline()) for _ in range(2)}
        os.killpg(process.pid, signal.SIGTERM)

        assert process.wait() == -signal.SIGTERM
        assert len(groups) == 1
        assert process.stdout.read() == b""  # no child of it has its stream any more
        assert other.poll() is None
        other.kill()


def test_a_program_ends_with_what_a_script_started_in_its_place(tmp_path):
    (tmp_path / "dask").write_text("import os; print(os.getpid(), flush=True); input()")
    command = [str(warm.make_programs("trainer") / "python"), str(tmp_path / "dask")]

    with warm.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert int(process.stdout.readline()) != process.pid
        process.kill()

        assert process.stdout.read() == b""  # nobody has its stream any more


def test_programs_draw_numbers_of_their_own(program):
    command = program("import numpy; print(numpy.random.random())")

    assert warm.run(command).stdout != warm.run(command).stdout


def test_what_starts_another_programs_libraries_is_left_cold():
    done = warm.run([sys.executable, "-c", "import sys; print('sklearn' in sys.modules)"])

    assert done.stdout == "False\n"
