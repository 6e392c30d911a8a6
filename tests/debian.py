"""Installs packages of Debian that a test needs and the machine lacks."""

import fcntl
import os
import subprocess
import tempfile
from pathlib import Path


def install(*packages: str) -> None:
    """One process at a time: apt refuses a second one."""
    root = [] if os.geteuid() == 0 else ["sudo"]
    quiet = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    variables = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with (Path(tempfile.gettempdir()) / "iris-ml-tests-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for action in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            subprocess.run([*root, *quiet, *action], check=True, env=variables)
