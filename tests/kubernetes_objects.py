"""Reads the Kubernetes manifests as a cluster would."""

import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import yaml
from documentation import ROOT

FOLDER = ROOT / "deploy/kubernetes"
OVERLAYS = ("overlays/small", "overlays/production")
BESIDE = ("dask", "files", "kserve")  # what is applied beside either overlay
NAMESPACE = "iris-ml"
PREDICTOR = {"serving.kserve.io/inferenceservice": "iris-ml"}  # as KServe labels its pods

# ComponentExtensionSpec of https://kserve.github.io/website/docs/reference/crd-api; all else of a
# custom predictor is Kubernetes' own PodSpec.
KSERVE_FIELDS = {
    *("minReplicas", "maxReplicas", "scaleTarget", "scaleMetric", "scaleMetricType", "autoScaling"),
    *("containerConcurrency", "timeout", "canaryTrafficPercent", "logger", "batcher"),
    *("labels", "annotations", "deploymentStrategy"),
}

Object = dict[str, Any]


class Pod(NamedTuple):
    """A workload's pod, or somebody else's in another namespace."""

    name: str
    labels: dict[str, str]
    spec: Object
    namespace: str = NAMESPACE

    @property
    def containers(self) -> list[Object]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def volumes(self) -> dict[str, Object]:
        return {it["name"]: it for it in self.spec.get("volumes", [])}


@cache
def render(name: str) -> list[Object]:
    """What `kubectl apply -k` would send."""
    rendered = subprocess.run([FOLDER / "render.sh", name], capture_output=True, text=True)
    assert rendered.returncode == 0, rendered.stderr
    return [it for it in yaml.safe_load_all(rendered.stdout) if it]


def render_all(overlay: str) -> list[Object]:
    """The overlay, and everything that can stand beside it."""
    return [it for name in (overlay, *BESIDE) for it in render(name)]


def find(objects: list[Object], kind: str) -> dict[str, Object]:
    return {it["metadata"]["name"]: it for it in objects if it["kind"] == kind}


def list_pods(objects: list[Object]) -> Iterator[Pod]:
    for it in objects:
        name, spec = it["metadata"]["name"], it.get("spec", {})
        match it["kind"]:
            case "Pod":
                yield Pod(name, it["metadata"]["labels"], spec)
            case "InferenceService":
                predictor = spec["predictor"]
                own = {key: predictor[key] for key in predictor.keys() - KSERVE_FIELDS}
                yield Pod("kserve", PREDICTOR, own)
            case "CronJob":
                template = spec["jobTemplate"]["spec"]["template"]
                yield Pod(name, template["metadata"]["labels"], template["spec"])
            case "Deployment" | "StatefulSet" | "Job":
                template = spec["template"]
                yield Pod(name, template["metadata"]["labels"], template["spec"])


def find_pods(objects: list[Object]) -> dict[str, Pod]:
    return {pod.name: pod for pod in list_pods(objects)}


def matches(selector: Object, labels: dict[str, str]) -> bool:
    """Of the selectors used here, which have no expressions."""
    assert selector.keys() <= {"matchLabels"}
    return bool(selector.get("matchLabels", {}).items() <= labels.items())


def reaches(objects: list[Object], client: Pod, server: Pod, port: int) -> bool:
    """As the policies of both ends have it; those of other namespaces are not ours to know."""
    policies = [it["spec"] for it in find(objects, "NetworkPolicy").values()]
    leaves = client.namespace != NAMESPACE or _allow(policies, "Egress", (client, server), port)
    enters = server.namespace != NAMESPACE or _allow(policies, "Ingress", (server, client), port)
    return leaves and enters


def admits(objects: list[Object], server: Pod, client: Pod, port: int) -> bool:
    """Whether the server's own policies let the client in, were it free to go there."""
    policies = [it["spec"] for it in find(objects, "NetworkPolicy").values()]
    return _allow(policies, "Ingress", (server, client), port)


def _allow(policies: list[Object], direction: str, ends: tuple[Pod, Pod], port: int) -> bool:
    """`ends` are the pod whose policies count, and the other one."""
    pod, other = ends
    own = [
        it
        for it in policies
        if matches(it["podSelector"], pod.labels) and direction in it["policyTypes"]
    ]
    if not own:
        return True  # what no policy means is open
    peers = {"Ingress": "from", "Egress": "to"}[direction]
    return any(
        (peers not in rule or any(_is_peer(peer, other) for peer in rule[peers]))
        and ("ports" not in rule or port in [it["port"] for it in rule["ports"]])
        for policy in own
        for rule in policy.get(direction.lower(), [])
    )


def _is_peer(peer: Object, pod: Pod) -> bool:
    if "ipBlock" in peer:
        return False  # no pod has such an address
    if "namespaceSelector" in peer:
        label = {"kubernetes.io/metadata.name": pod.namespace}
        is_there = matches(peer["namespaceSelector"], label)
    else:
        is_there = pod.namespace == NAMESPACE
    return is_there and matches(peer.get("podSelector", {}), pod.labels)
