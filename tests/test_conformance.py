"""Whether the API does what its own description says, tried out by schemathesis."""

import subprocess
import sys
from pathlib import Path

import pytest
import requests
from processes import find_free_port, running_backend, wait_until

# What a schema cannot say: which versions there are, that a tensor's data fills its shape, that all
# columns have as many rows, which numbers a model has an answer to.
CONFIG = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", 400, 404, 409, 413, 415, 422]
"""


@pytest.fixture
def backend(published):
    with running_backend(published.models_dir, find_free_port()) as url:
        wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
        yield url


def test_every_route_keeps_to_the_openapi_document(backend, tmp_path):
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    command = [Path(sys.executable).with_name("schemathesis"), "--config-file", config, "run"]
    options = ["--checks=all", "--max-examples=30", "--seed=1", "--request-timeout=10"]
    phases = ["--phases=examples,coverage,fuzzing", "--generation-database=none", "--no-color"]

    run = subprocess.run(
        [*command, f"{backend}/openapi.json", *options, *phases],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert run.returncode == 0, run.stdout
    assert "Operations:       26 selected / 26 total" in run.stdout
