"""What is missing is said in one line before anything starts."""

import socket
import subprocess

import pytest
from documentation import ROOT
from processes import environment


def check(*checks, **variables):
    return subprocess.run(
        [ROOT / "doctor", *checks],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
    )


def pretend_python(folder, version):
    """An interpreter that says it is another one."""
    python = folder / "python"
    python.write_text(f"#!/bin/sh\n[ $1 = -V ] && echo Python {version}\nexit 1\n")
    python.chmod(0o755)
    return python


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_without_an_engine_make_run_points_to_make_local():
    variables = environment(DOCKER_HOST="unix:///nowhere")

    command = subprocess.run(
        ["make", "run"], cwd=ROOT, env=variables, capture_output=True, text=True
    )

    assert command.returncode != 0
    assert command.stderr.splitlines()[0] == (
        "No Docker engine answers. Start Docker and try again, "
        "or run the stack without it: make local"
    )


def test_an_old_python_is_named(tmp_path):
    python = pretend_python(tmp_path, "3.9.2")

    command = check("python", PYTHON=python)

    assert command.returncode == 1
    [line] = command.stderr.splitlines()
    assert line.startswith(f"Python 3.11 or newer is needed and {python} is Python 3.9.2.")


def test_no_python_at_all_is_said():
    command = check("python", PYTHON="python3.0")

    assert command.returncode == 1
    assert "there is no python3.0. Install it" in command.stderr


def test_this_python_is_fine():
    assert check("python").returncode == 0


def test_a_taken_port_names_the_variable_that_moves_it(taken_port):
    command = check("ports", MLFLOW_PORT=taken_port, FRONTEND_PORT=1, BACKEND_PORT=1)

    assert command.returncode == 1
    [line] = command.stderr.splitlines()
    assert line.startswith(f"Taken: {taken_port}. Does a stack run already?")
    assert line.endswith(f"MLFLOW_PORT={taken_port + 1000}")


def test_a_port_of_another_address_is_not_taken(taken_port):
    command = check(
        "ports",
        BIND_ADDRESS="127.0.0.2",
        MLFLOW_PORT=taken_port,
        FRONTEND_PORT=1,
        BACKEND_PORT=1,
    )

    assert command.returncode == 0


def test_an_unknown_check_is_refused():
    assert "not phase-of-moon" in check("phase-of-moon").stderr
