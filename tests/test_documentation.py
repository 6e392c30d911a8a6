"""The documentation says what there is, and nothing else."""

import json
import re
import sys
from functools import cache
from itertools import chain
from textwrap import dedent

import pytest
import yaml
from documentation import (
    FENCE,
    ROOT,
    documented,
    find_refusals,
    list_modules,
    read_blocks,
    read_constant,
)
from guides import PAGES as GUIDES
from made_tables import make_many_classes, make_mixed
from shell import read

COMMANDS = "docs/reference/commands.md"
COMPOSE = (ROOT / "docker-compose.yaml").read_text()
PAGES = [
    it.relative_to(ROOT).as_posix() for it in chain(ROOT.glob("*.md"), ROOT.glob("docs/**/*.md"))
]

# The file that runs each command, or why nothing does: for the pages that are not followed, and
# for commands without a language, which stand there to be copied.
RUN_BY = {
    "make run": "tests/e2e/test_stack.py",
    "make train": "tests/test_local.py, and with ARGS tests/test_guides.py",
    "make test": ".ci/run",
    "make monitoring": "tests/e2e/test_stack.py",
    "make lock": "it changes the locks",
    "cd ": "tests/test_local.py",
    "curl -X": "tests/test_guides.py",
    "curl localhost:8002/": "tests/test_api_document.py",
    "curl 'localhost:8002/feedback": "tests/test_api_document.py",
    "curl https://api.iris.example.org": "nobody has that name",
    "docker exec": "tests/e2e/test_stack.py",  # plain, with --data, with --republish
    "docker compose exec": "tests/e2e/test_stack.py",
    "docker compose up": "tests/e2e/test_stack.py",
    "docker run --rm -it caddy": "there is no registry; tests/test_caddy.py runs Debian's",
    "git clone": "the repository of whoever reads it",
    "python3 -m venv": "what make local does",
    ".venv/bin/mlflow server": "mlflow/tests/test_buckets.py, with other addresses",
    "gh attestation": "GitHub's",
    "sed -i": "tests/test_kubernetes.py",
    "kubectl": "tests/test_kubernetes.py, as far as that goes without a cluster",
    ". ./api-key.env": "a cluster's",
    "15 3 * * *": "cron's",
    "az ": "make azure-check, as far as that goes without a cloud",
    "AZURE_RESOURCE_GROUP=": "tests/test_azure.py, with a stand-in for the cloud",
}
MADE_WHEN_BUILT = ("http.md", "openapi.json")

# Their blocks are run by tests/test_guides.py, and those of operations.md by tests/e2e.
FOLLOWED = [*GUIDES, "docs/how-to/call.md", "docs/api.md", "docs/operations.md"]

# The beginning of a command without a language, unless it is a setting or a program's output.
COMMAND = re.compile(
    r"(make|curl|docker|git|python3?|pip|npm|node|kubectl|az|gh|ssh|sed|rm|cp|dask|mlflow|wrk) "
    r"|\.?\.?/|\. |\.venv/|[A-Z_]+=\S+ \S|[\d*]+ [\d*]+ [\d*]+ "
)


def settings():
    """Every variable that a service, the Procfile, Compose or start.sh reads."""
    variables = set()
    for pattern, files in (
        (
            r"environ(?:ment)?\.get\(\s*\"([A-Z_]+)\"",
            list_modules("backend", "frontend", "mlflow"),
        ),
        (
            r"\$\{([A-Z_]+):-",
            [ROOT / it for it in ("docker-compose.yaml", "Procfile", "mlflow/start.sh")],
        ),
        (r"^      ([A-Z][A-Z0-9_]+):$", [ROOT / "docker-compose.yaml"]),  # passed on if set
        (r"^    (\w+): .* = ", [ROOT / "backend/settings.py"]),
    ):
        for path in files:
            found = re.findall(pattern, path.read_text(), re.MULTILINE)
            variables |= {name.upper() for name in found}
    return variables - {"DROP_ROOT"}  # the image's own


@cache
def make_targets():
    return set(re.findall(r"^  make (\S+)", read("make"), re.MULTILINE))


def profiles():
    services = yaml.safe_load(COMPOSE)["services"].values()
    return {profile for service in services for profile in service.get("profiles", [])}


def reasons():
    """The reasons for which the backend refuses a model."""
    source = (ROOT / "backend/errors.py").read_text()
    reasons = re.search(r"^Reason = Literal\[(.*?)\]", source, re.DOTALL | re.MULTILINE)[1]
    return set(re.findall(r'"(\w+)"', reasons))


def find_help(program, argument):
    said = read(sys.executable, ROOT / program, "--help")
    return set(re.findall(rf"^  ({argument})", said, re.MULTILINE))


def arguments():
    return {
        it.strip()
        for it in find_help("backend/scoring.py", "(?:[A-Z]+|--version VERSION|--part I/N)  ")
    }


def metrics():
    """Every family that the backend's modules name, as Prometheus sees it."""
    text = "".join(path.read_text() for path in list_modules("backend"))
    named = r"\b(Counter|Gauge|Histogram|_expose)(?:MetricFamily)?\(\s*\"([a-z_]+)\""
    return {
        name.removesuffix("_total") + "_total" if kind == "Counter" else name
        for kind, name in re.findall(named, text)
    }


@pytest.mark.parametrize(
    ("read", "page", "heading"),
    [
        (settings, "docs/configuration.md", ""),
        (metrics, "docs/reference/metrics.md", ""),
        (reasons, "docs/models.md", "## Why a model is refused"),
        (arguments, COMMANDS, "## scoring.py"),
        (profiles, COMMANDS, "## docker compose"),
        (make_targets, COMMANDS, "## make"),
    ],
)
def test_what_there_is_is_documented_and_nothing_else(read, page, heading):
    assert documented(page, heading) == read()


def test_every_manifest_key_is_documented_and_no_other(published, train_on):
    written = set()
    trained = [train_on(make) for make in (make_mixed, make_many_classes)]
    for models_dir in (published.models_dir, *(one.models_dir for one in trained)):
        [path] = models_dir.glob("*.json")
        manifest = json.loads(path.read_text())
        features = [f"features[].{key}" for feature in manifest["features"] for key in feature]
        written |= {*manifest, *features}

    assert documented("docs/models.md", "## The manifest") == written


def test_every_option_of_a_training_is_documented_and_no_other():
    options = {row.split()[0] for row in documented("docs/training.md", "## Options")}

    assert options == find_help("mlflow/metrics.py", r"--[\w-]+")


def test_every_setting_of_azure_is_documented_and_given_to_the_workflow_and_no_other():
    read = re.findall(r"AZURE_[A-Z_]+", (ROOT / "deploy/azure/deploy.sh").read_text())
    page = (ROOT / "docs/how-to/azure.md").read_text()
    table = page.partition("## Settings")[2].partition("\n## ")[0]
    described = re.findall(r"^\| `(AZURE_[A-Z_]+)`(?:, `(AZURE_[A-Z_]+)`)?", table, re.MULTILINE)
    workflow = (ROOT / ".github/workflows/main.yml").read_text()
    passed_on = re.findall(r"^ +(AZURE_[A-Z_]+): \$\{\{ vars\.\1 \}\}$", workflow, re.MULTILINE)

    assert set(read) == set(passed_on)
    assert set(read) - {"AZURE_RESOURCE_GROUP"} == {*chain.from_iterable(described)} - {""}


def test_exit_codes_are_documented():
    pages = {"WORSE_THAN_LIVE": "training.md", "SOME_ROWS_ARE_BAD": "how-to/score-files.md"}
    for constant, page in pages.items():
        codes = re.findall(r"^\| (\d) \|", (ROOT / "docs" / page).read_text(), re.MULTILINE)
        # 1 is Python's for sys.exit with a message, 2 argparse's.
        assert codes == ["0", "1", "2", str(read_constant(constant))]


def test_every_refusal_of_a_table_is_documented_and_no_other():
    headings = ("## What is left out", "## What is refused")
    said = set.union(*(documented("docs/training.md", heading) for heading in headings))
    refusals = {refusal for path in list_modules("mlflow") for refusal in find_refusals(path)}

    both = [(one, other) for one in refusals for other in said if re.fullmatch(one, other)]
    assert ({one for one, _ in both}, {other for _, other in both}) == (refusals, said)


def test_every_command_says_what_runs_it():
    others = [block for page in set(PAGES) - set(FOLLOWED) for block in read_blocks(page)]
    fences = [it for page in PAGES for it in FENCE.findall((ROOT / page).read_text())]
    bare = [dedent(text).strip() for _, language, text in fences if not language]
    shown = [block.code for block in others] + [it for it in bare if COMMAND.match(it)]
    files = re.findall(r"\S+\.py|\.ci/run", " ".join(RUN_BY.values()))

    assert {block.language for block in others} == {"bash"}
    assert [it for it in shown if not it.startswith(tuple(RUN_BY))] == []
    assert [start for start in RUN_BY if not any(it.startswith(start) for it in shown)] == []
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_every_make_target_in_the_text_exists():
    text = "".join((ROOT / page).read_text() for page in PAGES)

    assert set(re.findall(r"`make ([a-z0-9-]+)", text)) <= make_targets()


def test_the_readme_stays_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 90


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_to_one(page):
    links = re.findall(r"\]\(([^)#]*)(?:#([^)]+))?\)", (ROOT / page).read_text())

    for link, anchor in links:
        if link.startswith("http") or link.endswith(MADE_WHEN_BUILT):
            continue  # mkdocs looks for the latter
        file = (ROOT / page).parent / link if link else ROOT / page
        assert file.exists(), link
        if anchor:  # of a heading, as GitHub and the site make it
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            plain = [re.sub(r"[^\w\s-]", "", it).strip().lower() for it in headings]
            assert anchor in [re.sub(r"\s", "-", it) for it in plain], f"{link}#{anchor}"
