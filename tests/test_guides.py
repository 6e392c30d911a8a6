"""The tutorial and the guides can be followed: each block is run, and says what it shows."""

import sys
from urllib.parse import urlsplit

import pytest
import requests
from documentation import ROOT, read_blocks
from guides import PAGES, made_stack, move, says
from made_tables import make_penguins
from servers import find, find_r
from shell import read

FIRST_PAGES = ("README.md", "docs/index.md", "docs/fr/index.md")
FIRST_CALLS = [it for page in FIRST_PAGES for it in read_blocks(page) if it.code.startswith("curl")]
INTERPRETERS = {
    "bash": lambda: ["bash", "-euo", "pipefail"],
    "javascript": lambda: [find("node", "nodejs"), "--input-type=module"],
    "python": lambda: [sys.executable, "-"],
    "r": lambda: [find_r(), "-"],
}
CALLS = [*read_blocks("docs/how-to/call.md"), *read_blocks("docs/api.md"), *FIRST_CALLS]


@pytest.fixture(scope="module")
def stack(published, tmp_path_factory):
    with made_stack(tmp_path_factory.mktemp("guides"), published.models_dir) as it:
        make_penguins(it.folder / "data")
        yield it


@pytest.fixture(scope="module")
def ports(served):
    """The port of a backend that has the model of the built-in table."""
    return {"8002": urlsplit(served).port}


@pytest.fixture(scope="module")
def triton(tmp_path_factory):
    """A folder with the client and what else it requires that the tests lack."""
    folder = tmp_path_factory.mktemp("triton")
    requirements = (ROOT / "tests/triton_client.txt").read_text().split()
    install = ("-m", "pip", "install", "--no-compile", "--no-deps", "--target", folder)
    read(sys.executable, *install, *requirements)
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_followed(page, stack):
    if page != "docs/tutorial.md":  # which begins before there is a stack
        stack.start()

    for block in read_blocks(page):
        stack.follow(block)

    if page != "docs/tutorial.md":
        return
    # The first model is right less often than it believes, the second far more often than that.
    found = requests.get(f"{stack.url('8002')}/monitoring", timeout=60).json()
    labelled = [it for it in found["accuracy"]["versions"] if it["count"]]
    first, second = sorted(labelled, key=lambda it: it["model_version"])
    assert first["accuracy"] < first["expected"] - 0.05
    assert second["accuracy"] > first["accuracy"] + 0.1


@pytest.mark.parametrize("block", CALLS, ids=lambda block: block.language)
def test_an_example_of_a_call_works_as_it_comes(block, ports, tmp_path, request):
    code, variables = move(block.code, ports), {}
    if "tritonclient" in block.code:
        variables["PYTHONPATH"] = request.getfixturevalue("triton")

    said = read(*INTERPRETERS[block.language](), given=code, folder=tmp_path, **variables)

    assert says(said, block.shown), said


def test_there_is_an_example_for_each_language():
    assert {block.language for block in CALLS} == {"bash", "python", "r", "javascript"}
    assert len(FIRST_CALLS) >= len(FIRST_PAGES)
    assert sum("tritonclient" in block.code for block in CALLS) == 2


def test_an_output_that_is_not_as_shown_is_found():
    assert says("a 1 b\nc\nd\n", "a … b\n…\nd")
    assert not says("d\na 1 b\n", "a … b\nd")
    assert not says("a 1 b\n", "a 1")
