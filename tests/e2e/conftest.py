"""A clone and its images, built once for all tests in Docker."""

import os
import subprocess

import pytest
from clones import SERVICES, make_clone
from processes import environment


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    return make_clone(tmp_path_factory.mktemp("e2e") / "clone")


@pytest.fixture(scope="session")
def project(clone):
    """The Compose project whose name the built images begin with."""
    name = f"iris-ml-e2e-{os.getpid()}"
    build = ["docker", "compose", "--project-name", name, "build", "--quiet", *SERVICES]
    try:
        subprocess.run(build, cwd=clone, env=environment(), check=True)
        yield name
    finally:
        listed = ["docker", "images", "--quiet", "--filter", f"reference={name}-*"]
        images = subprocess.run(listed, capture_output=True, text=True).stdout.split()
        subprocess.run(["docker", "rmi", "--force", *set(images)], capture_output=True)
