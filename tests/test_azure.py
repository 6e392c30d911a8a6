"""The scripts that put the stack on Azure, with nothing but the cloud made up."""

import json
import os
import re
import sys
from copy import deepcopy
from pathlib import Path

import pytest
import requests
from cloud import AZ, Cloud, find_path, parse, serving
from documentation import ROOT
from processes import INSTANCE, running_backend, running_mlflow, train
from shell import put_program, run

SETUP = {"AZURE_LOCATION": "westeurope", "GITHUB_REPOSITORY": "Owner/iris-ml"}
IMAGES = {"IMAGES": "ghcr.io/Owner/iris-ml", "TAG": "1.2.3"}
ALLOWED = {"AZURE_ALLOWED_ADDRESSES": "203.0.113.0/24, 198.51.100.7/32"}
DOMAIN = "tame-sea-1.westeurope.azurecontainerapps.io"


class Azure:
    """A cloud, and the programs by which a script asks for it."""

    def __init__(self, folder, cloud):
        self.cloud = cloud
        self._folder = folder
        put_program(folder / "az", AZ)
        self.have_images()

    def have_images(self, but="nothing", status=22):
        """Let GitHub's registry have all images but one; curl exits with 22 for an HTTP error."""
        token = 'echo \'{"token":"anonymous"}\''
        case = f'case "$*" in *{but}*) exit {status} ;; *token*) {token} ;; esac'
        put_program(self._folder / "curl", case)

    def run(self, script, *arguments, given="", **variables):
        path = map(str, [self._folder, Path(sys.executable).parent, os.environ["PATH"]])
        variables = {"AZURE_RESOURCE_GROUP": "iris-ml", "POLL_SECONDS": 0} | variables
        with serving(self.cloud) as (port, calls):
            variables |= {"CLOUD_PORT": port, "PATH": ":".join(path)}
            command = run(ROOT / "deploy/azure" / script, *arguments, given=given, **variables)
        if log := os.environ.get("AZ_CALLS"):  # for deploy/azure/check.sh
            with Path(log).open("a") as file:
                file.writelines(f"{json.dumps(call)}\n" for call in calls)
        command.calls = calls
        put = [(find_path(it["arguments"][4]), it["body"]) for it in calls if "body" in it]
        command.bodies = {path.removeprefix("containerApps/"): body for path, body in put}
        return command


@pytest.fixture
def azure(tmp_path):
    """An empty cloud."""
    return Azure(tmp_path, Cloud())


def run_first(factory, script, variables):
    """Run a script in an empty cloud; its `azure` makes a copy of that cloud."""
    azure = Azure(factory.mktemp("azure"), Cloud())
    command = azure.run(script, **variables)
    assert command.returncode == 0, command.stderr
    command.azure = lambda: Azure(factory.mktemp("azure"), deepcopy(azure.cloud))
    return command


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    return run_first(tmp_path_factory, "setup.sh", SETUP)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    return run_first(tmp_path_factory, "deploy.sh", IMAGES)


def list_changes(command):
    """All calls but looks, in order: the words before the options, or the path of the API."""
    calls = [parse(call["arguments"]) for call in command.calls]
    said = [
        f"{it['method']} {find_path(it['url'])}" if words == ["rest"] else " ".join(words)
        for words, it in calls
    ]
    looks = re.compile("get .+|.+(/listSecrets| show| list| exists| get-shared-keys)")
    return [it for it in said if not looks.fullmatch(it)]


def find_environment(body):
    """The variables of an app's container, with its secrets in their places."""
    secrets = find_secrets(body)
    variables = body["properties"]["template"]["containers"][0]["env"]
    return {it["name"]: it.get("value", secrets.get(it.get("secretRef"))) for it in variables}


def find_secrets(body):
    return {it["name"]: it["value"] for it in body["properties"]["configuration"]["secrets"]}


def test_setup_makes_what_the_apps_need_and_trusts_one_repository_with_the_apps_alone(setup):
    said = " ".join(word for call in setup.calls for word in call["arguments"])

    assert list_changes(setup) == [
        *["provider register"] * 4,
        "group create",
        "storage account create",
        *["storage share-rm create"] * 3,
        "monitor log-analytics workspace create",
        "containerapp env create",
        *["containerapp env storage set"] * 4,
        "identity create",
        "identity federated-credential create",
        "role assignment create",
    ]
    assert "gh variable set AZURE_CLIENT_ID --repo Owner/iris-ml --body client" in setup.stdout
    assert "--subject repo:Owner/iris-ml:environment:azure " in said
    assert "--role 358470bc-b998-42bd-ab17-a7e34c199c0f --scope /subscriptions/s" in said


def test_setup_again_makes_nothing_new_but_follows_another_subject(setup):
    again = setup.azure().run("setup.sh", **SETUP)
    other = setup.azure().run("setup.sh", **SETUP, AZURE_SUBJECT="repo:x@1")

    mounts = {"containerapp env storage set"}
    assert again.returncode == other.returncode == 0, again.stderr + other.stderr
    assert set(list_changes(again)) == mounts
    assert set(list_changes(other)) == mounts | {"identity federated-credential update"}


def test_no_secret_is_an_argument_or_in_the_log(setup, deployment):
    given = {call["input"].strip() for call in setup.calls if "input" in call}
    secrets = {it for body in deployment.bodies.values() for it in find_secrets(body).values()}

    assert given == {"storage-key", "workspace-key"}
    words = {word for call in setup.calls + deployment.calls for word in call["arguments"]}
    assert not words & (secrets | given)
    said = setup.stdout + setup.stderr + deployment.stdout + deployment.stderr
    assert not [secret for secret in secrets | given if secret in said]


@pytest.mark.parametrize(
    ("script", "variables", "sentence"),
    [
        ("setup.sh", SETUP | {"AZURE_LOCATION": ""}, "Set AZURE_LOCATION to a region"),
        ("setup.sh", SETUP | {"GITHUB_REPOSITORY": ""}, "Set GITHUB_REPOSITORY to the repository"),
        ("setup.sh", SETUP | {"GITHUB_REPOSITORY": "iris-ml"}, "owner/name, not iris-ml"),
        ("setup.sh", SETUP | {"AZURE_RESOURCE_GROUP": ""}, "Set AZURE_RESOURCE_GROUP to the name"),
        ("deploy.sh", {"TAG": "1.2.3", "IMAGES": ""}, "Set IMAGES to what the images' names"),
        ("deploy.sh", IMAGES | {"TAG": ""}, "Set TAG to the tag"),
        ("deploy.sh", IMAGES | {"AZURE_MLFLOW_PUBLIC": "maybe"}, "is yes or no, not maybe"),
        ("deploy.sh", IMAGES | {"AZURE_BACKEND_REPLICAS": "many"}, "from 1 to 99, not many"),
        ("deploy.sh", IMAGES | {"AZURE_BACKEND_REPLICAS": "2"}, "a JOURNAL_URL of PostgreSQL"),
        ("deploy.sh", IMAGES | {"AZURE_MLFLOW_CORES": "3"}, "is 0.5, 1, 2 or 4, not 3"),
        # The page would be a stranger, too.
        ("deploy.sh", IMAGES | ALLOWED | {"AZURE_BACKEND_PUBLIC": "yes"}, "exclude each other"),
        ("teardown.sh", {"AZURE_RESOURCE_GROUP": ""}, "Set AZURE_RESOURCE_GROUP to the name"),
    ],
)
def test_what_is_missing_is_said_in_a_line_and_nothing_is_done(azure, script, variables, sentence):
    command = azure.run(script, **variables)

    assert command.returncode == 1
    [line] = command.stderr.splitlines()
    assert sentence in line
    assert list_changes(command) == []


@pytest.mark.parametrize(
    ("missing", "status", "code"),
    [
        ("v2/owner/iris-ml/frontend/manifests/1.2.3", 22, 1),  # there is no such tag
        ("token?scope=repository:owner/iris-ml/frontend", 22, 1),  # it is private
        ("https", 6, 0),  # what does not answer here may answer Azure
    ],
)
def test_an_image_that_cannot_be_pulled_is_found_before_anything_is_ended(
    deployment, missing, status, code
):
    azure = deployment.azure()
    azure.have_images(but=missing, status=status)

    command = azure.run("deploy.sh", **IMAGES)

    assert command.returncode == code
    sentence = "Azure could not pull ghcr.io/owner/iris-ml/frontend:1.2.3. Is TAG right,"
    assert (sentence in command.stderr) == (code == 1)
    assert (list_changes(command) == []) == (code == 1)


@pytest.mark.parametrize("script", ["setup.sh", "deploy.sh", "teardown.sh"])
def test_without_a_login_it_says_how(azure, script):
    azure.cloud.login = False

    command = azure.run(script, **SETUP, **IMAGES)

    assert (command.returncode, command.stderr) == (1, "az is not logged in. Run: az login\n")


def test_a_group_of_somebody_else_is_left_alone(azure):
    azure.cloud.made["group iris-ml"] = {"tags": {}}

    for script, maker in ((["setup.sh"], "this script"), (["teardown.sh", "--yes"], "setup.sh")):
        command = azure.run(*script, **SETUP)
        assert command.returncode == 1
        assert f"not made by {maker}" in command.stderr
        assert {*list_changes(command)} <= {"provider register"}


def test_the_apps_are_deployed_one_after_the_other(deployment):
    order = ["mlflow", "backend", "frontend"]
    assert list_changes(deployment) == [f"put containerApps/{name}" for name in order]
    [container] = deployment.bodies["backend"]["properties"]["template"]["containers"]
    assert container["image"] == "ghcr.io/owner/iris-ml/backend:1.2.3"
    assert f"The page is at https://frontend.{DOMAIN}" in deployment.stderr


def test_the_same_again_changes_nothing_and_a_new_secret_makes_a_new_revision(deployment):
    same = deployment.azure().run("deploy.sh", **IMAGES)
    again = deployment.azure().run("deploy.sh", **IMAGES, API_KEY="new,old")

    assert same.returncode == 0, same.stderr
    assert same.bodies == deployment.bodies
    assert "deactivate" not in " ".join(list_changes(same))
    before, after = (find_environment(it.bodies["backend"]) for it in (same, again))
    assert before["CONFIGURATION"] != after["CONFIGURATION"]
    assert find_secrets(again.bodies["frontend"])["api-key"] == "new,old"


def test_another_version_keeps_the_secrets_and_never_has_two_mlflows(deployment):
    azure, first = deployment.azure(), "post containerApps/mlflow/revisions/mlflow--0000001"
    newer = deployment.azure().run("deploy.sh", **IMAGES | {"TAG": "1.3.0"})
    azure.cloud.refusing = ["mlflow"]
    failed = azure.run("deploy.sh", **IMAGES | {"TAG": "1.3.0"})
    azure.cloud.refusing = []
    back = azure.run("deploy.sh", **IMAGES)

    assert list_changes(newer)[:2] == [f"{first}/deactivate", "put containerApps/mlflow"]
    for name, body in deployment.bodies.items():
        assert find_secrets(newer.bodies[name]) == find_secrets(body)
    assert failed.returncode != 0
    assert list_changes(back)[0] == f"{first}/activate"  # which the failed update had ended
    assert back.bodies == deployment.bodies


def test_only_the_page_is_public_unless_others_are_asked_for_by_some_addresses(azure, deployment):
    opened = azure.run("deploy.sh", **IMAGES, AZURE_BACKEND_PUBLIC="yes", AZURE_MLFLOW_PUBLIC="yes")
    limited = azure.run("deploy.sh", **IMAGES, **ALLOWED, AZURE_MLFLOW_PUBLIC="yes")

    for command, public, url in (
        (deployment, ["frontend"], "none"),
        (opened, ["mlflow", "backend", "frontend"], f"https://mlflow.{DOMAIN}"),
        (limited, ["mlflow", "frontend"], f"https://mlflow.{DOMAIN}"),
    ):
        apps = {name: it["properties"]["configuration"] for name, it in command.bodies.items()}
        assert [name for name, app in apps.items() if app["ingress"]["external"]] == public
        assert find_environment(command.bodies["frontend"])["MLFLOW_UI_URL"] == url
    for name, app in apps.items():
        ranges = [it["ipAddressRange"] for it in app["ingress"].get("ipSecurityRestrictions", [])]
        assert ranges == (["203.0.113.0/24", "198.51.100.7/32"] if name in public else [])


def test_more_backends_share_a_journal_in_postgresql(azure):
    settings = {"AZURE_BACKEND_REPLICAS": "3", "JOURNAL_URL": "postgresql://u:it's$x@host/journal"}

    body = azure.run("deploy.sh", **IMAGES, **settings).bodies["backend"]

    assert body["properties"]["template"]["scale"]["maxReplicas"] == 3
    assert find_environment(body)["JOURNAL_URL"] == settings["JOURNAL_URL"]


def test_a_deployment_that_fails_says_where_to_look_and_goes_on_with_the_same_secrets(azure):
    azure.cloud.refusing = ["backend"]
    refused = azure.run("deploy.sh", **IMAGES)
    azure.cloud.refusing, azure.cloud.failing = [], ["backend"]
    failed = azure.run("deploy.sh", **IMAGES)
    azure.cloud.failing = []
    again = azure.run("deploy.sh", **IMAGES)

    assert failed.returncode == 1
    assert "Azure could not deploy backend." in failed.stderr
    assert "put containerApps/frontend" not in list_changes(failed)
    assert again.returncode == 0, again.stderr
    assert again.bodies["mlflow"] == refused.bodies["mlflow"] == failed.bodies["mlflow"]


@pytest.fixture
def deployed(deployment, tmp_path):
    """Each app's variables, with its secrets in files as in its container."""
    for body in deployment.bodies.values():
        for name, secret in find_secrets(body).items():
            (tmp_path / name).write_text(secret.replace("sqlite:////tmp", f"sqlite:///{tmp_path}"))
    return {name: find_environment(body) for name, body in deployment.bodies.items()}


def test_the_deployed_mlflow_asks_for_the_login_that_its_trainers_have(
    deployed, published, tmp_path
):
    settings = deployed["mlflow"] | {
        "MLFLOW_AUTH_CONFIG_PATH": tmp_path / "mlflow-login",
        "UNSENT_RUNS_DIR": tmp_path / "unsent",
    }
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_BACKEND_STORE_URI"):
        del settings[name]  # here it has a free port and a file of its own
    options = ["--app-name", "basic-auth"]
    trainer = (settings["MLFLOW_TRACKING_USERNAME"], settings["MLFLOW_TRACKING_PASSWORD"])

    with running_mlflow(published.models_dir, tmp_path, options, **settings) as url:
        search = f"{url}/api/2.0/mlflow/experiments/search?max_results=1"
        stranger = requests.get(search, timeout=60)
        known = requests.get(search, auth=trainer, timeout=60)

    assert (stranger.status_code, known.status_code) == (401, 200)
    assert trainer[1] == (tmp_path / "mlflow-password").read_text()


def test_the_deployed_backend_serves_what_the_deployed_key_signed(deployed, tmp_path):
    signing_key = tmp_path / "model-signing-key"
    trained = train(tmp_path, tmp_path, "--only", "GaussianNB", MODEL_SIGNING_KEY=signing_key)
    assert trained.returncode == 0, trained.stderr
    settings = {"MODEL_PUBLIC_KEY": tmp_path / "model-public-key", "JOURNAL": "off"}
    key = {"X-API-Key": deployed["frontend"]["API_KEY"]}

    with running_backend(tmp_path, **deployed["backend"] | settings) as backend:
        stranger = requests.post(f"{backend}/predict", json=INSTANCE, timeout=60)
        answer = requests.post(f"{backend}/predict", json=INSTANCE, headers=key, timeout=60)

    assert stranger.status_code == 401
    assert answer.json()["prediction_class"] == "setosa"


def test_teardown_deletes_the_group_whose_name_is_given_and_then_has_nothing_to_do(setup):
    azure = setup.azure()
    refused = azure.run("teardown.sh", given="yes\n")
    deleted = azure.run("teardown.sh", given="iris-ml\n")
    again = azure.run("teardown.sh", "--yes")

    assert (refused.returncode, list_changes(refused)) == (1, [])
    assert deleted.returncode == 0, deleted.stderr
    assert list_changes(deleted) == ["monitor log-analytics workspace delete", "group delete"]
    assert again.returncode == 0
    assert "nothing to delete" in again.stderr
