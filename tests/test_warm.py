"""A program that starts warm is a process of its own and does what it does after a cold start."""

import os
import signal
import subprocess
import sys

import pytest
import requests
import warm
from processes import (
    ROOT,
    environment,
    find_free_port,
    running_backend,
    running_frontend,
    train,
    wait_until,
)

TABLE = "x,y\n" + "".join(f"{i * 0.37 % 3 + i % 2:.2f},{'ab'[i % 2]}\n" for i in range(40))
SETOSA = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}


@pytest.fixture
def twice(monkeypatch):
    """What a function returns when programs start warm, and what when they start cold."""

    def call(function):
        warmly = function("warm")
        monkeypatch.setattr(warm, "PROGRAMS", {})
        return warmly, function("cold")

    return call


def test_a_training_publishes_the_same_pickle(twice, tmp_path):
    (tmp_path / "t.csv").write_text(TABLE)

    def train_once(start):
        folder = tmp_path / start
        folder.mkdir()
        options = ("--data", tmp_path / "t.csv", "--target", "y", "--only", "GaussianNB")
        done = train(folder, folder, *options)
        assert done.returncode == 0, done.stderr
        [published] = folder.glob("*.pkl")
        return published.read_bytes()

    warmly, coldly = twice(train_once)

    assert warmly == coldly


def test_a_scored_file_is_the_same(twice, published, tmp_path):
    (tmp_path / "in.csv").write_text(f"{','.join(SETOSA)}\n5.1,3.5,1.4,0.2\n6.1,2.7,4.9,1.8\n")

    def score(start):
        out = tmp_path / f"{start}.csv"
        command = [sys.executable, ROOT / "mlflow/scoring.py", tmp_path / "in.csv", out]
        done = warm.run(command, env=environment(MODELS_DIR=published.models_dir))
        assert done.returncode == 0, done.stderr
        return out.read_text()

    warmly, coldly = twice(score)

    assert warmly == coldly
    assert warmly.count("\n") == 3


def test_a_backend_answers_the_same(twice, published):
    def ask(_):
        with running_backend(published.models_dir, find_free_port()) as url:
            wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
            answer = requests.post(f"{url}/predict", json=SETOSA).json()
            return {**answer, "prediction_id": ""}, requests.get(f"{url}/models/live").json()

    warmly, coldly = twice(ask)

    assert warmly == coldly


def test_a_page_is_the_same(twice):
    def fetch(_):
        with running_frontend("http://127.0.0.1:9") as url:
            return requests.get(url).text

    warmly, coldly = twice(fetch)

    assert warmly == coldly


# What follows runs as `dask`, whose program it takes the place of.
@pytest.fixture
def program(tmp_path):
    def write(code):
        (tmp_path / "dask").write_text(code)
        return [sys.executable, str(tmp_path / "dask"), "one", "two"]

    return write


def test_a_program_has_its_own_folder_environment_arguments_and_streams(program, tmp_path):
    said = "import os, sys; print(os.getcwd(), dict(os.environ), sys.argv[1:], sys.stdin.read())"
    command = program(f"{said}; print(sys.path[0], file=sys.stderr); sys.exit(7)")
    options = {"cwd": "/", "env": {"PATH": "x"}, "stdin": subprocess.PIPE}

    with warm.Popen(command, stdout=-1, stderr=-1, text=True, **options) as process:
        out, err = process.communicate("in")

    assert out == "/ {'PATH': 'x'} ['one', 'two'] in\n"
    assert (err, process.returncode) == (f"{tmp_path}\n", 7)


def test_an_error_ends_a_program_with_its_traceback(program):
    done = warm.run(program("1 / 0"))

    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_a_signal_reaches_a_program_alone_and_its_group_with_its_children(program):
    command = program("import os; os.fork(); print(os.getpgrp(), flush=True); input()")
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "start_new_session": True}

    with warm.Popen(command, **options) as process, warm.Popen(command, **options) as other:
        groups = {int(process.stdout.readline()) for _ in range(2)}
        os.killpg(process.pid, signal.SIGTERM)

        assert process.wait() == -signal.SIGTERM
        assert groups == {process.pid}
        assert process.stdout.read() == b""  # no child of it has its stream any more
        assert other.poll() is None
        other.kill()


def test_programs_draw_numbers_of_their_own(program):
    command = program("import numpy; print(numpy.random.random())")

    assert warm.run(command).stdout != warm.run(command).stdout


def test_what_starts_another_programs_libraries_is_left_cold():
    done = warm.run([sys.executable, "-c", "import sys; print('sklearn' in sys.modules)"])

    assert done.stdout == "False\n"
