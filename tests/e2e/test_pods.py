"""The images run as the Kubernetes manifests start them: as nobody, on a root that is read-only."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from kubernetes_objects import Cluster, load
from made_tables import make_penguins
from processes import wait_until
from shell import read, run

CLAIMS = ("models", "data", "journal", "runs")
KEYS = {"model-signing-key": "model_signing_key.pem", "model-public-key": "model_public_key.pem"}
SECRETS = {"api-key": {"API_KEY": "key"}}
BRIEF = ("--only", "GaussianNB")


@dataclass
class Node:
    """A machine that runs the manifests' pods in Docker, with their volumes in a folder."""

    folder: Path
    project: str
    configs: dict[str, dict[str, str]] = field(default_factory=dict)
    cluster: Cluster = field(default_factory=lambda: load("overlays/small", "dask"))

    def start(self, name: str) -> None:
        docker("run", "--detach", *self._options(name))

    def finish(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a job's pod to its end."""
        return run("docker", "run", *self._options(name), *arguments)

    def address(self, name: str, port: int) -> str:
        published = docker("port", f"{self.project}-{name}", str(port))
        return f"http://{published.splitlines()[0]}"

    def _options(self, name: str) -> list[str]:
        """Return the arguments of `docker run` for a pod."""
        pod = self.cluster.pods[name]
        [container] = pod.containers
        user, own = pod.spec["securityContext"], container["securityContext"]
        volumes = {it["name"]: it for it in pod.spec.get("volumes", [])}
        assert (own["readOnlyRootFilesystem"], own["capabilities"]) == (True, {"drop": ["ALL"]})
        options = ["--rm", "--name", f"{self.project}-{name}", "--network", self.project]
        options += ["--network-alias", name, "--user", f"{user['runAsUser']}:{user['runAsGroup']}"]
        options += ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        options += ["--memory", container["resources"]["limits"]["memory"].lower().rstrip("i")]
        for port in container.get("ports", []):
            options += ["--publish", f"127.0.0.1::{port['containerPort']}"]
        values = self._environment(container)
        for it in values.items():
            options += ["--env", "=".join(it)]
        for mount in container["volumeMounts"]:
            options += self._mount(volumes.get(mount["name"], {}), mount)
        command = container.get("command", [])
        if command:
            options += ["--entrypoint", command[0]]
        image = container["image"].split("/")[-1].partition(":")[0]
        given = [
            values.get(it.removeprefix("$(").rstrip(")"), it) for it in container.get("args", [])
        ]
        return [*options, f"{self.project}-{image}", *command[1:], *given]

    def _environment(self, container: dict[str, Any]) -> dict[str, str]:
        found: dict[str, str] = {}
        for source in container.get("envFrom", []):
            found |= self.configs.get(source["configMapRef"]["name"], {})
        for it in container.get("env", []):
            key = it.get("valueFrom", {}).get("secretKeyRef")
            found[it["name"]] = SECRETS[key["name"]][key["key"]] if key else it["value"]
        return found

    def _mount(self, volume: dict[str, Any], mount: dict[str, Any]) -> list[str]:
        path = mount["mountPath"]
        if "emptyDir" in volume:
            return ["--tmpfs", f"{path}:mode=777,exec"]
        name = mount["name"]
        if "secret" in volume:
            name = volume["secret"]["secretName"]
        elif claim := volume.get("persistentVolumeClaim"):
            name = claim["claimName"]
        suffix = ":ro" if mount.get("readOnly") else ""
        return ["--volume", f"{self.folder / name}:{path}{suffix}"]


def docker(*arguments: object) -> str:
    return read("docker", *arguments).strip()


@pytest.fixture(scope="module")
def node(tmp_path_factory, project):
    """A node that runs MLflow and nothing else yet."""
    it = Node(tmp_path_factory.mktemp("node"), project)
    try:
        docker("network", "create", project)
        make_volumes(it)
        it.start("mlflow")
        wait_until(lambda: requests.get(f"{it.address('mlflow', 8003)}/health").ok, seconds=120)
        yield it
    finally:
        names = docker("ps", "--all", "--quiet", "--filter", f"network={project}").split()
        run("docker", "rm", "--force", *names)
        run("docker", "network", "rm", project)
        # The pods own what they have written.
        run_as_root(it, "find /node -mindepth 1 -delete")


def run_as_root(node, command):
    options = ["--rm", "--user", "0", "--volume", f"{node.folder}:/node"]
    return docker("run", *options, f"{node.project}-mlflow", "sh", "-ec", command)


def make_volumes(node):
    """Make each claim writable for everyone, as fsGroup does; keys are only read."""
    for name in (*CLAIMS, *KEYS):
        (node.folder / name).mkdir()
        (node.folder / name).chmod(0o777)
    make_penguins(node.folder / "data")
    files = " ".join(f"/node/{name}/{file}" for name, file in KEYS.items())
    run_as_root(node, f"python3 -m publishing.signing {files} && chmod 644 {files}")


def test_the_first_training_publishes_a_model_that_backend_and_page_take(node):
    trained = node.finish("first-training", *BRIEF)

    assert trained.returncode == 0, trained.stderr
    assert "\nLogged " in trained.stdout
    node.start("backend")
    node.start("frontend")
    api, page = node.address("backend", 8002), node.address("frontend", 8001)
    wait_until(lambda: requests.get(f"{api}/health/ready").ok)
    key = {"X-API-Key": "key"}
    assert requests.get(f"{api}/models/live", headers=key).json()["signature"] == "signed"
    instance = {"sepal_length": 5, "sepal_width": 3, "petal_length": 2, "petal_width": 0.2}
    answer = requests.post(f"{api}/predict", json=instance, headers=key)
    assert answer.json()["prediction_class"] == "setosa"
    wait_until(lambda: requests.get(f"{page}/_stcore/health").ok)


def test_a_table_is_trained_on_the_cluster_and_scored_by_two_pods(node):
    node.configs |= {
        "dask": node.cluster.find("ConfigMap")["dask"]["data"],
        "training": {"DATASET": "data/penguins.csv", "TARGET": "species"},
        "scoring": {"IN": "data/penguins.csv", "OUT": "data/scored.csv"},
    }
    node.start("dask-scheduler")
    node.start("dask-worker")
    logs = ("docker", "logs", f"{node.project}-dask-scheduler")
    wait_until(lambda: "Register worker" in run(*logs).stderr)

    trained = node.finish("trainer", *BRIEF)
    scored = []
    for index in "01":
        node.configs["scoring"]["JOB_COMPLETION_INDEX"] = index
        scored.append(node.finish("scorer"))

    for done in (trained, *scored):
        assert done.returncode == 0, done.stderr
        assert "The cluster" not in done.stderr
    assert "The cluster has 1 worker with 1 core in all." in trained.stdout
    assert "\nPublished " in trained.stdout
    assert "Joined: 200 of 200 rows are in /app/data/scored.csv" in scored[0].stdout
    assert "Scored already: 200 of 200 rows" in scored[1].stdout
    assert len((node.folder / "data/scored.csv").read_text().splitlines()) == 201
