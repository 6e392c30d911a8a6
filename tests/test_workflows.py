"""What GitHub is to do: check each change, and publish what passed."""

import json
import os
import re
import subprocess

import pytest
import yaml
from documentation import ROOT
from guides import copy_tree, list_files
from processes import environment

WORKFLOW = (ROOT / ".github/workflows/main.yml").read_text()
JOBS = yaml.safe_load(WORKFLOW)["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CHANGELOG = """# Changelog

## Unreleased

- Not yet.

## 1.2.3 (2026-12-01)

### Added

- The page is green.

## 1.2.30

- Of another version.
"""


def run(*command, folder=ROOT, **variables):
    return subprocess.run(
        [ROOT / command[0], *command[1:]],
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
    )


@pytest.fixture
def tool(tmp_path):
    """Puts a program on the path that writes down how it is called, and answers something."""

    def put(name, script="exit 0"):
        program, calls = tmp_path / name, tmp_path / "calls"
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> {calls}\n{script}\n')
        program.chmod(0o755)
        return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    put.calls = lambda: (tmp_path / "calls").read_text().splitlines()
    return put


def test_what_is_run_is_a_target_of_make():
    makefile = (ROOT / "Makefile").read_text()
    commands = [step["run"] for step in STEPS if "run" in step]
    made = [command for command in commands if "::notice::" not in command]

    assert len(made) >= 8
    for command in made:
        make, target = command.split()
        assert make == "make"
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_action_is_a_commit_with_its_version():
    used = re.findall(r"uses: (.+)", WORKFLOW)

    assert len(used) == sum("uses" in step for step in STEPS)
    for action in used:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_one_action_has_one_commit():
    pins = set(re.findall(r"uses: ([\w/-]+)@(\w+)", WORKFLOW))

    assert len(pins) == len({action for action, _ in pins})


def test_no_checkout_leaves_its_token_behind():
    checkouts = [it for it in STEPS if it.get("uses", "").startswith("actions/checkout@")]

    assert checkouts
    assert {it["with"]["persist-credentials"] for it in checkouts} == {False}


@pytest.mark.parametrize("name", JOBS)
def test_every_job_says_what_it_may_and_how_long(name):
    assert "permissions" in JOBS[name]
    assert JOBS[name]["timeout-minutes"] <= 60


def test_nothing_of_a_pull_request_is_published():
    """What may write follows a push, by its own condition or that of what it needs."""
    conditions = {name: job.get("if", "") for name, job in JOBS.items()}
    writing = [name for name, job in JOBS.items() if "write" in job["permissions"].values()]

    assert sorted(writing) == ["azure", "images", "pages", "publish", "release"]
    on_main_or_tag = "(github.ref == 'refs/heads/main' || github.ref_type == 'tag')"
    assert conditions["images"] == f"github.event_name == 'push' && {on_main_or_tag}"
    assert conditions["pages"] == "github.ref == 'refs/heads/main'"
    assert JOBS["publish"]["needs"] == "images"
    assert JOBS["release"]["needs"] == "publish"
    assert JOBS["azure"]["needs"] == ["publish", "azure-check"]


def test_azure_is_deployed_to_where_it_is_set_up_and_else_it_is_said_how():
    variables = ["CLIENT_ID", "TENANT_ID", "SUBSCRIPTION_ID", "RESOURCE_GROUP"]
    is_set = [f"vars.AZURE_{name} != ''" for name in variables]
    newest = "needs.publish.outputs.newest == 'yes'"

    assert JOBS["azure"]["if"] == " && ".join([*is_set, newest])
    assert JOBS["no-azure"]["if"] == " || ".join(it.replace("!=", "==") for it in is_set)
    [step] = JOBS["no-azure"]["steps"]
    assert "Run deploy/azure/setup.sh and set the variables that it prints" in step["run"]


def say_version(folder, version):
    """Settings by which that is the project's, with the changelog above."""
    (folder / "CHANGELOG.md").write_text(CHANGELOG)
    (folder / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')
    return {"CHANGELOG": folder / "CHANGELOG.md", "PYPROJECT": folder / "pyproject.toml"}


def test_a_release_has_its_section_of_the_changelog(tmp_path):
    command = run(".github/release.sh", "notes", "v1.2.3", **say_version(tmp_path, "1.2.3"))

    assert command.returncode == 0, command.stderr
    assert command.stdout == "### Added\n\n- The page is green.\n"


def test_a_release_has_the_version_that_the_project_says(tmp_path, tool):
    settings = tool("gh") | say_version(tmp_path, "1.2.30")

    command = run(".github/release.sh", "publish", "v1.2.3", **settings)

    assert command.returncode == 1
    assert (
        command.stderr == "pyproject.toml says version 1.2.30. Set it to 1.2.3, and tag it again.\n"
    )
    assert not (tmp_path / "calls").exists()


def test_the_api_has_the_version_of_the_project():
    [version] = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.M)

    assert f'version="{version}"' in (ROOT / "backend/main.py").read_text()


def test_a_release_without_a_section_is_refused(tmp_path, tool):
    settings = tool("gh") | say_version(tmp_path, "1.2.4")

    command = run(".github/release.sh", "publish", "v1.2.4", **settings)

    assert command.returncode == 1
    [line] = command.stderr.splitlines()
    assert 'Call its section Unreleased "## 1.2.4"' in line
    assert not (tmp_path / "calls").exists()


def test_a_release_is_made_once_and_then_gets_its_text_again(tmp_path, tool):
    released = tmp_path / "released"
    script = f"case $2 in view) test -e {released} ;; create) touch {released} ;; esac"
    settings = tool("gh", script) | say_version(tmp_path, "1.2.3")

    for _ in range(2):
        command = run(".github/release.sh", "publish", "v1.2.3", **settings)
        assert command.returncode == 0, command.stderr

    verbs = [call.split()[2] for call in tool.calls()]
    assert verbs == ["view", "create", "view", "edit"]


def test_only_a_version_is_released():
    command = run(".github/release.sh", "publish", "main")

    assert command.returncode == 1
    assert command.stderr == "A release is a tag like v1.2.3 or v1.2.3-rc1, not main.\n"


@pytest.fixture
def clone(tmp_path):
    """What GitHub says of a commit; three versions have tags, and main is one commit on."""
    git = ["git", "-C", str(tmp_path / "clone"), "-c", "user.name=x", "-c", "user.email=x@x.x"]
    subprocess.run(["git", "init", "--quiet", tmp_path / "clone"], check=True)
    for tag in ("v1.2.3", "v1.2.10", "v1.10.0"):
        subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", tag], check=True)
        subprocess.run([*git, "tag", tag], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "on"], check=True)
    subprocess.run([*git, "update-ref", "refs/remotes/origin/main", "HEAD"], check=True)

    def put(kind, ref, commit):
        head = subprocess.run([*git, "rev-parse", commit], capture_output=True, text=True)
        return {
            "GIT_DIR": tmp_path / "clone/.git",
            "GITHUB_REF_TYPE": kind,
            "GITHUB_REF_NAME": ref,
            "GITHUB_SHA": head.stdout.strip(),
            "GITHUB_RUN_ID": 7,
            "GITHUB_OUTPUT": tmp_path / "output",
            "IMAGES": "ghcr.io/Owner/iris-ml",
        }

    return put


@pytest.mark.parametrize(
    ("kind", "ref", "commit", "names"),
    [
        ("branch", "main", "HEAD", ["main"]),
        ("branch", "main", "HEAD~1", []),  # another push was faster
        ("tag", "v1.10.0", "v1.10.0", ["1.10.0", "1.10", "latest"]),
        ("tag", "v1.2.10", "v1.2.10", ["1.2.10", "1.2"]),
        ("tag", "v1.2.3", "v1.2.3", ["1.2.3"]),
        ("tag", "v1.11.0-rc1", "HEAD", ["1.11.0-rc1"]),
    ],
)
def test_images_are_named_by_what_the_commit_is_called(clone, kind, ref, commit, names):
    settings = clone(kind, ref, commit)

    command = run("deploy/images.sh", "names", **settings)

    sha = f"sha-{settings['GITHUB_SHA']}"
    assert command.stdout.split() == [f"{sha}-7", sha, *names]


@pytest.mark.parametrize("tag", ["v1.2", "vlatest", "vmain", "v1.2.3.4"])
def test_what_is_no_version_gets_no_name(clone, tool, tag):
    settings = clone("tag", tag, "HEAD") | tool("docker")

    command = run("deploy/images.sh", "publish", **settings)

    assert command.returncode == 1
    assert command.stderr == f"A version's tag is like v1.2.3 or v1.2.3-rc1, not {tag}.\n"


# It has what was just built, and nothing of before.
REGISTRY = """
case "$3 $4" in
  "inspect "*:sha-*-7) echo '"sha256:abc"' ;;
  "inspect "*) exit 1 ;;
esac
"""


def test_each_image_is_put_together_of_both_processors(clone, tmp_path, tool):
    settings = clone("tag", "v1.10.0", "v1.10.0") | tool("docker", REGISTRY)

    command = run("deploy/images.sh", "publish", **settings)

    assert command.returncode == 0, command.stderr
    image, built = "ghcr.io/owner/iris-ml/mlflow", f"sha-{settings['GITHUB_SHA']}-7"
    made = next(call for call in tool.calls() if "create" in call and image in call)
    assert made.endswith(f"{image}:{built}-amd64 {image}:{built}-arm64")
    assert f"--tag {image}:latest" in made
    assert (tmp_path / "output").read_text().splitlines() == [
        *(f"{name}=sha256:abc" for name in ("backend", "frontend", "mlflow")),
        "names=ghcr.io/owner/iris-ml",
        "newest=yes",
    ]


@pytest.mark.parametrize(
    "called",
    [("branch", "main", "HEAD~1"), ("tag", "v1.2.10", "v1.2.10"), ("tag", "v2.0.0-rc1", "HEAD")],
)
def test_what_is_not_the_newest_is_not_deployed(clone, tmp_path, tool, called):
    settings = clone(*called) | tool("docker", REGISTRY)

    command = run("deploy/images.sh", "publish", **settings)

    assert command.returncode == 0, command.stderr
    assert "newest=no" in (tmp_path / "output").read_text().splitlines()
    assert "needs.publish.outputs.newest == 'yes'" in JOBS["azure"]["if"]


def test_a_version_is_given_to_one_commit(clone, tool):
    settings = clone("tag", "v1.10.0", "v1.10.0")
    other = tool("docker", 'echo \'{"linux/amd64": {"revision": "another"}}\'')
    same = f'echo \'{{"revision": "{settings["GITHUB_SHA"]}"}}\''

    refused = run("deploy/images.sh", "publish", **settings, **other)
    again = run("deploy/images.sh", "publish", **settings, **tool("docker", same))

    assert refused.returncode == 1
    assert "backend:1.10.0 is there already, of another commit" in refused.stderr
    assert again.returncode == 0, again.stderr


def test_a_tag_is_looked_at_before_anything_is_published():
    [step] = [it for it in JOBS["images"]["steps"] if it.get("run") == "make release-notes"]

    assert step["if"] == "github.ref_type == 'tag'"
    assert JOBS["images"]["steps"].index(step) < len(JOBS["images"]["steps"]) - 1


def test_images_are_built_and_pushed_for_both_processors():
    matrix = JOBS["images"]["strategy"]["matrix"]["include"]

    assert [it["processor"] for it in matrix] == ["amd64", "arm64"]
    assert JOBS["images"]["env"] == {"IMAGES": "ghcr.io/${{ github.repository }}", "PUSH": "1"}


def test_every_push_is_checked_whatever_comes_after_it():
    group = yaml.safe_load(WORKFLOW)["concurrency"]["group"]

    kept = "(github.ref == 'refs/heads/main' || github.ref_type == 'tag')"
    assert group.endswith(f"{kept} && github.run_id || github.ref }}}}")


def test_an_image_that_does_not_start_is_found(tool):
    settings = tool("docker", 'case "$*" in *frontend*) exit 1 ;; esac')

    command = run("deploy/images.sh", "build", **settings)

    assert command.returncode == 1
    assert command.stderr == "The image of frontend does not start; see above.\n"


def test_a_clone_made_on_windows_has_the_same_bytes(tmp_path):
    tree, clone = tmp_path / "tree", tmp_path / "clone"
    copy_tree(tree)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x.x"]
    windows = ["-c", "core.autocrlf=true", "-c", "core.eol=crlf"]

    for command in (
        [*git, "-C", tree, "init", "--quiet"],
        [*git, "-C", tree, "add", "--all"],
        [*git, "-C", tree, "commit", "--quiet", "--message", "All"],
        [*git, *windows, "clone", "--quiet", *windows, tree, clone],
    ):
        subprocess.run(command, check=True)

    changed = [it for it in list_files() if (clone / it).read_bytes() != (ROOT / it).read_bytes()]
    assert changed == []


def test_a_codespace_starts_the_stack_and_links_to_it(tmp_path, tool):
    settings = tool("make") | tool("docker") | {"CODESPACE_NAME": "blue-sky"}
    settings["GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN"] = "app.github.dev"
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())

    command = run(container["postStartCommand"], folder=tmp_path, **settings)

    assert command.returncode == 0, command.stderr
    assert tool.calls() == ["docker info", "make run ARGS=--detach"]
    address = "blue-sky-8003.app.github.dev"
    assert (tmp_path / ".env").read_text().splitlines() == [
        f"MLFLOW_UI_URL=https://{address}",
        f"MLFLOW_SERVER_ALLOWED_HOSTS=localhost:*,127.0.0.1:*,mlflow:*,{address}",
    ]
    assert container["forwardPorts"] == [8001, 8002, 8003]
