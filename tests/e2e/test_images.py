"""What the images hold, and the plan of those for others, checked without a registry."""

import json

import pytest
from processes import SERVICES
from shell import read


def plan(**variables):
    """Print what would be built, by service."""
    command = ("docker", "buildx", "bake", "--print", "--file", "deploy/images.hcl")
    said = read(*command, IMAGES="ghcr.io/owner/iris-ml", TAG="1.2.3-amd64", **variables)
    targets = json.loads(said)["target"]
    assert sorted(targets) == sorted(SERVICES)
    return targets


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_pushed_says_how_it_was_built_and_what_is_in_it(service):
    target = plan(PUSH="1", CACHE="cache-amd64", REVISION="0123", SOURCE="https://a/b")[service]

    assert target["attest"] == ["type=provenance,mode=max", "type=sbom"]
    assert target["output"] == ["type=registry"]
    assert target["tags"] == [f"ghcr.io/owner/iris-ml/{service}:1.2.3-amd64"]
    assert target["cache-from"] == [
        f"type=registry,ref=ghcr.io/owner/iris-ml/{service}:cache-amd64"
    ]
    labels = {name.rpartition(".")[2]: value for name, value in target["labels"].items()}
    assert (labels["revision"], labels["source"]) == ("0123", "https://a/b")


def test_what_is_built_here_stays_here():
    for service, target in plan().items():
        assert target["output"] == ["type=docker"]
        assert target["context"] == service
        assert "attest" not in target


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_no_tests(project, service):
    found = read("docker", "run", "--rm", "--entrypoint", "ls", f"{project}-{service}", "/app")

    assert "main.py" in found or "metrics.py" in found
    assert "tests" not in found.split()
