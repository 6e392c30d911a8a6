"""What is missing is said in one line before anything starts."""

import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from documentation import ROOT
from processes import environment

FOLDERS = ["data", "journal", "keys/private", "keys/public", "mlflow/mlruns", "models", "scored"]
FREE = {"FRONTEND_PORT": 1, "BACKEND_PORT": 1, "MLFLOW_PORT": 1}


def check(*checks, **variables):
    return subprocess.run(
        [ROOT / "doctor", *checks],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
    )


def diagnose(folder=ROOT, **variables):
    """The report, as a dictionary of its lines by what they are about, and the exit code."""
    command = subprocess.run(
        ["./doctor"], cwd=folder, env=environment(**variables), capture_output=True, text=True
    )
    lines = [line.split(maxsplit=2) for line in command.stdout.splitlines()[1:-1]]
    return {name: (verdict, said) for verdict, name, said in lines}, command.returncode


def hide(name, folder):
    """A PATH with all there is but one command."""
    for directory in os.environ["PATH"].split(":"):
        for path in Path(directory).glob("*"):
            link = folder / path.name
            if path.name != name and not link.is_symlink():
                link.symlink_to(path)
    return folder


def pretend_python(folder, version):
    """An interpreter that says it is another one."""
    python = folder / "python"
    python.write_text(f"#!/bin/sh\n[ $1 = -V ] && echo Python {version}\nexit 1\n")
    python.chmod(0o755)
    return python


@pytest.fixture
def clone(tmp_path):
    """The folders of a clone, and the doctor."""
    folder = tmp_path / "clone"
    for path in FOLDERS:
        (folder / path).mkdir(parents=True)
    shutil.copy(ROOT / "doctor", folder)
    return folder


@pytest.fixture
def full_disk(tmp_path):
    """A clone on a disk of a megabyte, and the PATH that finds it so."""
    folder = tmp_path / "full"
    folder.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True
    )
    if mounted and mounted.returncode == 0:
        path = os.environ["PATH"]
    else:  # nobody but root may mount: a df that says so
        path = f"{tmp_path}:{os.environ['PATH']}"
        (tmp_path / "df").write_text("#!/bin/sh\necho head\necho tmpfs 1024 0 1024 0% /\n")
        (tmp_path / "df").chmod(0o755)
    for name in FOLDERS:
        (folder / name).mkdir(parents=True)
    shutil.copy(ROOT / "doctor", folder)
    yield folder, path
    if mounted and mounted.returncode == 0:
        subprocess.run(["umount", folder], check=True)


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


def test_the_report_has_a_line_for_each_look_and_says_what_it_found(clone):
    found, code = diagnose(clone, **FREE)

    assert list(found) == ["python", "docker", "ports", "disk", "folders", "memory", "curl"]
    assert found["python"][1].startswith("Python 3.")
    assert found["ports"] == ("ok", "Free: 1 1 1")
    assert found["folders"] == ("ok", "All can be written")
    assert code == 0, found


def test_the_report_names_a_taken_port_and_fails(clone, taken_port):
    found, code = diagnose(clone, **FREE | {"BACKEND_PORT": taken_port})

    assert found["ports"][0] == "MISSING"
    assert f"BACKEND_PORT={taken_port + 1000}" in found["ports"][1]
    assert code == 1


def test_without_docker_there_is_still_a_way(clone, tmp_path):
    found, code = diagnose(clone, PATH=hide("docker", tmp_path), **FREE)

    assert found["docker"][0] == "absent"
    assert "run the stack without it: make local" in found["docker"][1]
    assert code == 0


def test_with_neither_docker_nor_python_there_is_none(clone, tmp_path):
    path = hide("docker", tmp_path)

    command = subprocess.run(
        ["./doctor"],
        cwd=clone,
        env=environment(PATH=path, PYTHON="python3.0", **FREE),
        capture_output=True,
        text=True,
    )

    assert command.stdout.splitlines()[-1] == "MISSING: Docker or Python, one of the two."
    assert command.returncode == 1


def test_a_full_disk_is_found(full_disk):
    folder, path = full_disk

    found, code = diagnose(folder, PATH=path, **FREE)

    assert found["disk"][0] == "MISSING"
    assert "MB are free here and 3000 are needed" in found["disk"][1]
    assert code == 1


@pytest.mark.parametrize("name", ["models", "scored"])
def test_a_folder_that_is_gone_is_to_be_made(clone, name):
    (clone / name).rmdir()

    found, code = diagnose(clone, **FREE)

    assert found["folders"] == ("MISSING", f"There is no folder {name}. Make it: mkdir -p {name}")
    assert code == 1


def test_a_folder_of_somebody_else_is_to_be_made_ones_own(clone):
    somebody = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    for folder in [clone, *clone.parents][:4]:
        folder.chmod(0o755)
    (clone / "keys/private").chmod(0o555)

    command = subprocess.run(
        ["./doctor"],
        cwd=clone,
        env=environment(**FREE),
        user=somebody,
        capture_output=True,
        text=True,
    )

    assert "You may not write to " in command.stdout
    assert "sudo chown -R " in command.stdout
    assert command.returncode == 1


def test_make_doctor_is_the_report():
    command = subprocess.run(
        ["make", "doctor"], cwd=ROOT, env=environment(**FREE), capture_output=True, text=True
    )

    assert "Free: 1 1 1" in command.stdout or "The stack runs already" in command.stdout
