"""The doctor says in one line what is missing, before anything starts."""

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from documentation import ROOT, documented
from shell import put_program, run

FOLDERS = ["data/scored", "journal", "keys/private", "keys/public", "mlflow/mlruns", "models"]
FREE = {"FRONTEND_PORT": 1, "BACKEND_PORT": 1, "MLFLOW_PORT": 1}


def diagnose(folder, **variables):
    """The report's lines by what they are about, its last line, and the exit code."""
    command = run("./doctor", folder=folder, **FREE | variables)
    _, *lines, last = command.stdout.splitlines()
    parts = (line.split(maxsplit=2) for line in lines)
    return {name: (verdict, said) for verdict, name, said in parts}, last, command.returncode


@pytest.fixture
def clone(tmp_path):
    """The folders of a clone, and the doctor."""
    for path in FOLDERS:
        (tmp_path / "clone" / path).mkdir(parents=True)
    return Path(shutil.copy(ROOT / "doctor", tmp_path / "clone")).parent


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_without_an_engine_make_run_points_to_make_local():
    command = run("make", "run", DOCKER_HOST="unix:///nowhere")

    said = "No Docker engine answers. Start Docker and try again, or run the stack without it: "
    assert command.returncode != 0
    assert command.stderr.splitlines()[0] == f"{said}make local"


def test_a_python_that_is_old_or_absent_is_named(tmp_path):
    old = put_program(tmp_path / "python", "[ $1 = -V ] && echo Python 3.9.2\nexit 1")

    for python, sentence in (
        (old, f"Python 3.11 or newer is needed and {old} is Python 3.9.2."),
        ("python3.0", "Python 3.11 or newer is needed and there is no python3.0. Install it"),
    ):
        command = run("./doctor", "python", PYTHON=python)
        assert command.returncode == 1
        [line] = command.stderr.splitlines()
        assert line.startswith(sentence)
    assert run("./doctor", "python").returncode == 0


def test_a_taken_port_keeps_make_local_from_starting_and_names_what_moves_it(taken_port):
    taken = FREE | {"MLFLOW_PORT": taken_port}

    command = run("make", "local", **taken)
    elsewhere = run("./doctor", "ports", BIND_ADDRESS="127.0.0.2", **taken)

    assert command.returncode != 0
    [line] = [it for it in command.stderr.splitlines() if not it.startswith("make")]
    assert line.startswith(f"Taken: {taken_port}. Does a stack run already?")
    assert line.endswith(f"MLFLOW_PORT={taken_port + 1000}")
    assert elsewhere.returncode == 0


def test_an_unknown_check_is_refused():
    assert "not phase-of-moon" in run("./doctor", "phase-of-moon").stderr


def test_the_report_has_a_line_for_each_documented_look_and_says_what_is_missing(clone, taken_port):
    found, _, code = diagnose(clone)
    (clone / "data/scored").rmdir()
    lacking, _, failed = diagnose(clone, BACKEND_PORT=taken_port)

    assert found.keys() == documented("docs/reference/commands.md", "## doctor")
    assert found["python"][1].startswith("Python 3.")
    assert found["ports"] == ("ok", "Free: 1 1 1")
    assert found["folders"] == ("ok", "All can be written")
    assert code == 0, found
    assert lacking["ports"][0] == "MISSING"
    assert f"BACKEND_PORT={taken_port + 1000}" in lacking["ports"][1]
    said = "There is no folder data/scored. Make it: mkdir -p data/scored"
    assert lacking["folders"] == ("MISSING", said)
    assert failed == 1


def test_docker_and_python_are_two_ways_of_which_one_is_enough(clone, tmp_path):
    for directory in os.environ["PATH"].split(":"):
        for program in Path(directory).glob("*"):
            link = tmp_path / program.name
            if program.name != "docker" and not link.is_symlink():
                link.symlink_to(program)

    found, _, code = diagnose(clone, PATH=tmp_path)
    _, last, neither = diagnose(clone, PATH=tmp_path, PYTHON="python3.0")

    assert found["docker"][0] == "absent"
    assert "run the stack without it: make local" in found["docker"][1]
    assert code == 0
    assert last == "MISSING: Docker or Python, one of the two."
    assert neither == 1


def test_a_full_disk_is_found(clone, tmp_path):
    put_program(tmp_path / "df", "echo head; echo disk 99999999 99998975 1024 99% /")

    found, _, code = diagnose(clone, PATH=f"{tmp_path}:{os.environ['PATH']}")

    assert found["disk"][0] == "MISSING"
    assert "MB are free here and 3000 are needed" in found["disk"][1]
    assert code == 1


def test_a_folder_of_somebody_else_is_to_be_made_ones_own(clone):
    somebody = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    for folder in [clone, *clone.parents][:4]:
        folder.chmod(0o755)
    (clone / "keys/private").chmod(0o555)

    report = subprocess.run(["./doctor"], cwd=clone, user=somebody, capture_output=True, text=True)

    assert "You may not write to " in report.stdout
    assert "sudo chown -R " in report.stdout
    assert report.returncode == 1


def test_make_doctor_is_the_report():
    said = run("make", "doctor", **FREE).stdout

    assert "Free: 1 1 1" in said or "The stack runs already" in said
