"""A clone and its images, built once for all tests in Docker."""

import os

import pytest
from guides import copy_tree
from processes import SERVICES
from shell import read, run


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """A fresh clone of the working tree; only its owner may read it, who is not root."""
    clone = tmp_path_factory.mktemp("e2e") / "clone"
    copy_tree(clone)
    (clone / "mlflow/mlruns/logged.py").touch()  # an artifact of a run, which no image takes in
    read("chmod", "-R", "go=", clone)
    if os.geteuid() == 0:
        read("chown", "-R", "12345:12345", clone)
    return clone


@pytest.fixture(scope="session")
def project(clone):
    """The Compose project whose name the built images begin with."""
    name = f"iris-ml-e2e-{os.getpid()}"
    try:
        read("docker", "compose", "-p", name, "build", "--quiet", *SERVICES, folder=clone)
        yield name
    finally:
        images = run("docker", "images", "--quiet", "--filter", f"reference={name}-*").stdout
        run("docker", "rmi", "--force", *set(images.split()))
