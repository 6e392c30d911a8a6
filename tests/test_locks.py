"""The locks are of one resolution, whoever has edited them last."""

import re

import pytest
from documentation import ROOT

LOCKS = [
    "backend/requirements.txt",
    "backend/requirements-tracing.txt",
    "frontend/requirements.txt",
    "mlflow/requirements.txt",
]


def read_versions(lock):
    return set(re.findall(r"^[\w.-]+==[\w.+!]+", (ROOT / lock).read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS)
def test_each_service_has_the_versions_that_are_tested(lock):
    versions = read_versions(lock)

    assert len(versions) > 5
    assert versions <= read_versions("requirements-dev.txt"), "run make lock"
