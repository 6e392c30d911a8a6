"""GitHub checks each change and publishes what passed."""

import json
import os
import re

import pytest
import yaml
from documentation import ROOT
from guides import copy_tree, list_files
from shell import put_program, read, run

WORKFLOW = (ROOT / ".github/workflows/main.yml").read_text()
JOBS = yaml.safe_load(WORKFLOW)["jobs"]
WORKFLOWS = [path.read_text() for path in ROOT.glob(".github/workflows/*.yml")]
ALL_JOBS = [job for text in WORKFLOWS for job in yaml.safe_load(text)["jobs"].values()]
STEPS = [step for job in ALL_JOBS for step in job["steps"]]
KEPT = "(github.ref == 'refs/heads/main' || github.ref_type == 'tag')"
CHANGELOG = """# Changelog

## Unreleased

- Not yet.

## 1.2.3 (2026-12-01)

### Added

- The page is green.

## 1.2.30

- Of another version.
"""


def expect_refusal(command, sentence):
    assert command.returncode == 1
    assert sentence in command.stderr


@pytest.fixture
def tool(tmp_path):
    """Puts a program on the path that writes down how it is called, and answers something."""
    calls = tmp_path / "calls"
    calls.touch()

    def put(name, script="exit 0"):
        put_program(tmp_path / name, f'echo "{name} $*" >> {calls}\n{script}')
        return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    put.calls = lambda: calls.read_text().splitlines()
    return put


def test_what_is_run_is_a_target_of_make():
    targets = re.findall(r"^[\w-]+(?=:)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    commands = {step["run"] for step in STEPS if "::notice::" not in step.get("run", "::notice::")}

    assert len(commands) >= 8
    assert commands <= {f"make {target}" for target in targets}


def test_actions_say_their_version_and_jobs_are_limited():
    """zizmor sees to pins, permissions and tokens, in `make lint`."""
    used = {*re.findall(r"uses: (.+)", "".join(WORKFLOWS))}

    assert [it for it in used if not re.fullmatch(r"[\w/-]+@\w+ # v\d+\.\d+\.\d+", it)] == []
    assert len(used) == len({it.partition("@")[0] for it in used})
    assert [job["name"] for job in ALL_JOBS if job["timeout-minutes"] > 60] == []


def test_nothing_of_a_pull_request_is_published():
    """A job that may write runs after a push only, or needs one that does."""
    writing = {name for name, job in JOBS.items() if "write" in job["permissions"].values()}

    assert writing == {"azure", "images", "pages", "publish", "release"}
    assert JOBS["images"]["if"] == f"github.event_name == 'push' && {KEPT}"
    assert JOBS["pages"]["if"] == "github.ref == 'refs/heads/main'"
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


@pytest.fixture
def release(tmp_path, tool):
    """Asks for a release of a project that says a version, with the changelog above."""
    released = tmp_path / "released"
    script = f"case $2 in view) test -e {released} ;; create) touch {released} ;; esac"
    settings = tool("gh", script)
    settings |= {"CHANGELOG": tmp_path / "CHANGELOG.md", "PYPROJECT": tmp_path / "pyproject.toml"}
    settings["CHANGELOG"].write_text(CHANGELOG)

    def release(verb, tag, version):
        settings["PYPROJECT"].write_text(f'[project]\nversion = "{version}"\n')
        return run(ROOT / ".github/release.sh", verb, tag, **settings)

    return release


def test_a_release_has_its_section_of_the_changelog(release):
    command = release("notes", "v1.2.3", "1.2.3")

    assert command.returncode == 0, command.stderr
    assert command.stdout == "### Added\n\n- The page is green.\n"


@pytest.mark.parametrize(
    ("tag", "version", "sentence"),
    [
        ("v1.2.3", "1.2.30", "pyproject.toml says version 1.2.30. Set it to 1.2.3, and tag it"),
        ("v1.2.4", "1.2.4", 'Call its section Unreleased "## 1.2.4"'),
        ("main", "1.2.3", "A release is a tag like v1.2.3 or v1.2.3-rc1, not main."),
    ],
)
def test_what_is_no_release_of_this_version_is_refused_in_a_line(
    release, tool, tag, version, sentence
):
    command = release("publish", tag, version)

    expect_refusal(command, sentence)
    assert command.stderr.count("\n") == 1
    assert tool.calls() == []


def test_a_release_is_made_once_and_then_gets_its_text_again(release, tool):
    for _ in range(2):
        command = release("publish", "v1.2.3", "1.2.3")
        assert command.returncode == 0, command.stderr

    assert [call.split()[2] for call in tool.calls()] == ["view", "create", "view", "edit"]


def test_the_api_has_the_version_of_the_project():
    [version] = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.M)

    assert f'version="{version}"' in (ROOT / "backend/main.py").read_text()


def git(folder, script):
    """What a script says in which Git knows who commits."""
    known = 'git() { command git -c user.name=x -c user.email=x@x.x "$@"; }'
    return read("bash", "-ec", f"{known}\n{script}", folder=folder).strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Three versions have tags, and main is one commit on."""
    folder, commit = tmp_path_factory.mktemp("repository"), "git commit --allow-empty --message on"
    tags = [f"{commit}; git tag {tag}" for tag in ("v1.2.3", "v1.2.10", "v1.10.0")]
    main = [commit, "git update-ref refs/remotes/origin/main HEAD"]
    git(folder, "\n".join(["git init", *tags, *main]))
    return folder


@pytest.fixture
def images(repository, tool, tmp_path):
    """Runs deploy/images.sh as GitHub does for a commit, with a script for a registry."""

    def images(verb, called, registry=""):
        kind, ref, commit = called
        head = git(repository, f"git rev-parse {commit}")
        settings = tool("docker", registry.replace("HEAD", head)) | {
            "GIT_DIR": repository / ".git",
            "GITHUB_REF_TYPE": kind,
            "GITHUB_REF_NAME": ref,
            "GITHUB_SHA": head,
            "GITHUB_RUN_ID": 7,
            "GITHUB_OUTPUT": tmp_path / "output",
            "IMAGES": "ghcr.io/Owner/iris-ml",
        }
        command = run(ROOT / "deploy/images.sh", verb, **settings)
        command.sha = f"sha-{head}"
        return command

    return images


NEWEST = ("tag", "v1.10.0", "v1.10.0")


@pytest.mark.parametrize(
    ("called", "names"),
    [
        (("branch", "main", "HEAD"), ["main"]),
        (("branch", "main", "HEAD~1"), []),  # another push was faster
        (NEWEST, ["1.10.0", "1.10", "latest"]),
        (("tag", "v1.2.10", "v1.2.10"), ["1.2.10", "1.2"]),
        (("tag", "v1.2.3", "v1.2.3"), ["1.2.3"]),
        (("tag", "v1.11.0-rc1", "HEAD"), ["1.11.0-rc1"]),
    ],
)
def test_images_are_named_by_what_the_commit_is_called(images, called, names):
    command = images("names", called)

    assert command.stdout.split() == [f"{command.sha}-7", command.sha, *names]


def test_what_is_no_version_gets_no_name(images):
    for tag in ("v1.2", "vlatest", "vmain", "v1.2.3.4"):
        command = images("publish", ("tag", tag, "HEAD"))
        expect_refusal(command, f"A version's tag is like v1.2.3 or v1.2.3-rc1, not {tag}.\n")


# It has what was just built, and nothing of before.
REGISTRY = """case "$3 $4" in
  "inspect "*:sha-*-7) echo '"sha256:abc"' ;;
  "inspect "*) exit 1 ;;
esac"""


def test_each_image_is_put_together_of_both_processors(images, tmp_path, tool):
    command = images("publish", NEWEST, REGISTRY)

    assert command.returncode == 0, command.stderr
    image, built = "ghcr.io/owner/iris-ml/mlflow", f"{command.sha}-7"
    made = next(call for call in tool.calls() if "create" in call and image in call)
    assert made.endswith(f"{image}:{built}-amd64 {image}:{built}-arm64")
    assert f"--tag {image}:latest" in made
    assert (tmp_path / "output").read_text().splitlines() == [
        *(f"{name}=sha256:abc" for name in ("backend", "frontend", "mlflow")),
        "names=ghcr.io/owner/iris-ml",
        "newest=yes",
    ]


def test_what_is_not_the_newest_is_not_deployed(images, tmp_path):
    older, candidate = ("tag", "v1.2.10", "v1.2.10"), ("tag", "v2.0.0-rc1", "HEAD")
    for called in (("branch", "main", "HEAD~1"), older, candidate):
        (tmp_path / "output").unlink(missing_ok=True)
        command = images("publish", called, REGISTRY)
        assert command.returncode == 0, command.stderr
        assert "newest=no" in (tmp_path / "output").read_text().splitlines()


def test_a_version_is_given_to_one_commit(images):
    refused = images("publish", NEWEST, """echo '{"linux/amd64": {"revision": "another"}}'""")
    again = images("publish", NEWEST, """echo '{"revision": "HEAD"}'""")

    expect_refusal(refused, "backend:1.10.0 is there already, of another commit")
    assert again.returncode == 0, again.stderr


def test_every_push_is_checked_and_a_tag_looked_at_before_both_processors_are_built():
    [step] = [it for it in JOBS["images"]["steps"] if it.get("run") == "make release-notes"]
    matrix = JOBS["images"]["strategy"]["matrix"]["include"]
    group = yaml.safe_load(WORKFLOW)["concurrency"]["group"]

    assert group.endswith(f"{KEPT} && github.run_id || github.ref }}}}")
    assert step["if"] == "github.ref_type == 'tag'"
    assert JOBS["images"]["steps"].index(step) < len(JOBS["images"]["steps"]) - 1
    assert [it["processor"] for it in matrix] == ["amd64", "arm64"]
    assert JOBS["images"]["env"] == {"IMAGES": "ghcr.io/${{ github.repository }}", "PUSH": "1"}


def test_an_image_that_does_not_start_is_found(tool):
    settings = tool("docker", 'case "$*" in *frontend*) exit 1 ;; esac')

    command = run(ROOT / "deploy/images.sh", "build", **settings)

    expect_refusal(command, "The image of frontend does not start; see above.\n")


def test_a_clone_made_on_windows_has_the_same_bytes(tmp_path):
    tree, clone = tmp_path / "tree", tmp_path / "clone"
    copy_tree(tree)

    git(tree, "git init; git add --all; git commit --quiet --message All")
    git(tree, f"git clone -c core.autocrlf=true -c core.eol=crlf . {clone}")

    changed = [it for it in list_files() if (clone / it).read_bytes() != (ROOT / it).read_bytes()]
    assert changed == []


def test_a_codespace_starts_the_stack_and_links_to_it(tmp_path, tool):
    settings = tool("make") | tool("docker") | {"CODESPACE_NAME": "blue-sky"}
    settings["GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN"] = "app.github.dev"
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())

    command = run(ROOT / container["postStartCommand"], folder=tmp_path, **settings)

    assert command.returncode == 0, command.stderr
    assert tool.calls() == ["docker info", "make run ARGS=--detach"]
    address = "blue-sky-8003.app.github.dev"
    assert (tmp_path / ".env").read_text().splitlines() == [
        f"MLFLOW_UI_URL=https://{address}",
        f"MLFLOW_SERVER_ALLOWED_HOSTS=localhost:*,127.0.0.1:*,mlflow:*,{address}",
        f"MLFLOW_SERVER_CORS_ALLOWED_ORIGINS=https://{address}",
    ]
    assert container["forwardPorts"] == [8001, 8002, 8003]
