"""Runs a command, and keeps what it says."""

import subprocess
from pathlib import Path
from typing import Any

from documentation import ROOT
from processes import environment


def run(
    *command: object, folder: Path = ROOT, given: str | None = None, **variables: object
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=environment(**variables),
        input=given,
        capture_output=True,
        text=True,
    )


def read(*command: object, **options: Any) -> str:
    """What a command that succeeds writes to its standard output."""
    done = run(*command, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def put_program(file: Path, script: str) -> Path:
    """Write a program of the shell."""
    file.write_text(f"#!/usr/bin/env bash\n{script}\n")
    file.chmod(0o755)
    return file
