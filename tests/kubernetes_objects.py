"""Reads the Kubernetes manifests as a cluster would."""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

import yaml
from documentation import ROOT
from shell import read

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


@dataclass(frozen=True)
class Cluster:
    """All that is applied together."""

    objects: list[Object]

    @cached_property
    def pods(self) -> dict[str, Pod]:
        pods = [pod for it in self.objects if (pod := _find_pod(it))]
        assert len({pod.name for pod in pods}) == len(pods)
        return {pod.name: pod for pod in pods}

    @cached_property
    def containers(self) -> list[Object]:
        return [container for pod in self.pods.values() for container in pod.containers]

    def find(self, kind: str) -> dict[str, Object]:
        return {it["metadata"]["name"]: it for it in self.objects if it["kind"] == kind}

    def select(self, labels: dict[str, str]) -> list[str]:
        return [pod.name for pod in self.pods.values() if labels.items() <= pod.labels.items()]

    def reaches(self, client: Pod, server: Pod, port: int) -> bool:
        """As the policies of both ends have it; those of other namespaces are not ours to know."""
        return self._allows("Egress", client, server, port) and self.admits(server, client, port)

    def admits(self, server: Pod, client: Pod, port: int) -> bool:
        """Whether the server's own policies let the client in, were it free to go there."""
        return self._allows("Ingress", server, client, port)

    def _allows(self, direction: str, pod: Pod, other: Pod, port: int) -> bool:
        """Whether the pod's policies do, of which none means that all is open."""
        own = [
            it["spec"]
            for it in self.find("NetworkPolicy").values()
            if direction in it["spec"]["policyTypes"]
            and pod.namespace == NAMESPACE
            and matches(it["spec"]["podSelector"], pod.labels)
        ]
        peers = {"Ingress": "from", "Egress": "to"}[direction]
        return not own or any(
            (peers not in rule or any(_is_peer(peer, other) for peer in rule[peers]))
            and ("ports" not in rule or port in [it["port"] for it in rule["ports"]])
            for policy in own
            for rule in policy.get(direction.lower(), [])
        )


@cache
def render(name: str) -> list[Object]:
    """Return what `kubectl apply -k` would send."""
    return [it for it in yaml.safe_load_all(read(FOLDER / "render.sh", name)) if it]


@cache
def load(*names: str) -> Cluster:
    return Cluster([it for name in names for it in render(name)])


def _find_pod(it: Object) -> Pod | None:
    name, spec = it["metadata"]["name"], it.get("spec", {})
    match it["kind"]:
        case "InferenceService":
            predictor = spec["predictor"].items()
            own = {key: value for key, value in predictor if key not in KSERVE_FIELDS}
            return Pod("kserve", PREDICTOR, own)
        case "Pod" | "Deployment" | "StatefulSet" | "Job" | "CronJob":
            pod = spec.get("jobTemplate", it)["spec"].get("template", it)
            return Pod(name, pod["metadata"]["labels"], pod["spec"])
    return None


def matches(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a selector without expressions selects the labels."""
    assert selector.keys() <= {"matchLabels"}
    return bool(selector.get("matchLabels", {}).items() <= labels.items())


def _is_peer(peer: Object, pod: Pod) -> bool:
    if "ipBlock" in peer:
        return False  # no pod has such an address
    name = "kubernetes.io/metadata.name"
    namespaces = peer.get("namespaceSelector", {"matchLabels": {name: NAMESPACE}})
    is_there = matches(namespaces, {name: pod.namespace})
    return is_there and matches(peer.get("podSelector", {}), pod.labels)
