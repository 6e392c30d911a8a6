"""The documentation says what there is, and nothing else."""

import json
import re
import subprocess
import sys

import pytest
from documentation import ROOT, find_refusals, read_commands
from made_tables import TARGET, make_mixed
from processes import train

FILES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
PAGES = [file.relative_to(ROOT).as_posix() for file in FILES]

# Where each command of the documentation is run.
RUN_BY = {
    "make run": "tests/e2e/test_stack.py",
    "make test": ".ci/run",
    "curl": "tests/test_local.py",
    "docker exec": "tests/e2e/test_stack.py",  # plain, with --data, with --republish
    "cd ": "tests/test_local.py",
    "docker compose exec": "tests/e2e/test_stack.py",
    "docker compose up": "tests/e2e/test_stack.py",
}


def documented(page, heading=""):
    """What stands in backticks at the start of the table rows below a heading."""
    text = (ROOT / page).read_text()
    if heading:
        text = text.partition(heading)[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)`", text, re.MULTILINE))


def settings():
    """Every variable that a service, the Procfile, Compose or start.sh reads."""
    variables = set()
    for path in ROOT.glob("*/*.py"):
        text = path.read_text()
        variables |= set(re.findall(r"environ(?:ment)?\.get\(\s*\"([A-Z_]+)\"", text))
    for name in ("docker-compose.yaml", "Procfile", "mlflow/start.sh"):
        variables |= set(re.findall(r"\$\{([A-Z_]+):-", (ROOT / name).read_text()))
    # Passed on as they are, where they are set.
    compose = (ROOT / "docker-compose.yaml").read_text()
    variables |= set(re.findall(r"^      ([A-Z][A-Z0-9_]+):$", compose, re.MULTILINE))
    backend = (ROOT / "backend/settings.py").read_text()
    variables |= {name.upper() for name in re.findall(r"^    (\w+): .* = ", backend, re.MULTILINE)}
    return variables - {"DROP_ROOT"}  # the image's own


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """The folder of models of a table that has a column of each kind."""
    models_dir, runs_dir = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("runs")
    table = make_mixed(runs_dir)
    command = train(models_dir, runs_dir, "--data", table, "--target", TARGET, "--budget", "0.1")
    assert command.returncode == 0, command.stderr
    return models_dir


def keys(models_dir):
    """Those of a manifest, and of all its features."""
    [path] = models_dir.glob("*.json")
    manifest = json.loads(path.read_text())
    features = {f"features[].{key}" for feature in manifest["features"] for key in feature}
    return set(manifest) | features


def test_every_setting_is_documented_and_no_other():
    assert documented("docs/configuration.md") == settings()


def test_every_manifest_key_is_documented_and_no_other(published, mixed):
    written = keys(published.models_dir) | keys(mixed)

    assert documented("docs/models.md", "## The manifest") == written


def test_every_option_of_a_training_is_documented_and_no_other():
    command = [sys.executable, str(ROOT / "mlflow/metrics.py"), "--help"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    options = {row.split()[0] for row in documented("docs/training.md", "## Options")}
    assert options == set(re.findall(r"^  (--[\w-]+)", said, re.MULTILINE))


def test_every_refusal_of_a_table_is_documented_and_no_other():
    headings = ("## What is left out", "## What is refused")
    said = set.union(*(documented("docs/training.md", heading) for heading in headings))
    modules = ("tables.py", "columns.py", "datasets.py")
    refusals = [refusal for module in modules for refusal in find_refusals(module)]

    for sentence in said:
        assert any(re.fullmatch(refusal, sentence) for refusal in refusals), sentence
    for refusal in refusals:
        assert any(re.fullmatch(refusal, sentence) for sentence in said), refusal


def test_every_reason_of_a_refusal_is_documented_and_no_other():
    source = (ROOT / "backend/errors.py").read_text()
    reasons = re.search(r"^Reason = Literal\[(.*?)\]", source, re.DOTALL | re.MULTILINE)[1]

    said = documented("docs/models.md", "## Why a model is refused")
    assert said == set(re.findall(r'"(\w+)"', reasons))


def test_every_command_is_run_somewhere():
    for page in PAGES:
        for command in read_commands(page):
            where = [path for start, path in RUN_BY.items() if command.startswith(start)]
            assert [(ROOT / path).exists() for path in where] == [True], f"{page}: {command}"


def test_every_make_target_in_the_text_exists():
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^  make (\S+)", listed, re.MULTILINE))

    named = {
        target
        for page in PAGES
        for target in re.findall(r"`make ([a-z0-9]+)", (ROOT / page).read_text())
    }

    assert named <= targets


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_to_one(page):
    links = re.findall(r"\]\(([^)#]+)[)#]", (ROOT / page).read_text())

    for link in links:
        assert link.startswith("http") or ((ROOT / page).parent / link).exists(), link
