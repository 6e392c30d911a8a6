"""Whether the API does what its own description says, tried out by schemathesis."""

import sys
from pathlib import Path

from processes import running_backend
from shell import read

# What a schema cannot say: which versions there are, that a tensor's data fills its shape, that all
# columns have as many rows, which numbers a model has an answer to.
CONFIG = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", 400, 404, 409, 413, 415, 422]
"""


def test_every_route_keeps_to_the_openapi_document(published, tmp_path):
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    command = [Path(sys.executable).with_name("schemathesis"), "--config-file", config, "run"]
    options = ["--checks=all", "--max-examples=30", "--seed=1", "--request-timeout=10"]
    options += ["--phases=examples,coverage,fuzzing", "--generation-database=none", "--no-color"]

    with running_backend(published.models_dir) as backend:
        said = read(*command, f"{backend}/openapi.json", *options, folder=tmp_path)

    assert "Operations:       27 selected / 27 total" in said
