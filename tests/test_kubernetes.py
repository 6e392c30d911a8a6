"""The Kubernetes manifests keep their promises, which shows without a cluster."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from documentation import ROOT, find_all, read_constant
from kubernetes_objects import (
    BESIDE,
    FOLDER,
    KSERVE_FIELDS,
    NAMESPACE,
    OVERLAYS,
    Cluster,
    Pod,
    load,
    matches,
)
from processes import SERVICES
from servers import promtool
from shell import read, run

PAGE = (ROOT / "docs/how-to/kubernetes.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
USER = 10001  # that of the images
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
TRAINERS = {"trainer", "first-training"}
SCORER = "scorer"
BACKENDS = {"backend", "kserve"}
NAME = "app.kubernetes.io/name"

INGRESS = Pod("ingress", {NAME: "traefik"}, {}, "traefik")
PROMETHEUS = Pod("prometheus", {NAME: "prometheus"}, {}, "monitoring")
DNS = Pod("dns", {"k8s-app": "kube-dns"}, {}, "kube-system")
INTERNET = Pod("internet", {}, {}, "elsewhere")
STRANGERS = (
    INTERNET,
    Pod("other", {NAME: "other"}, {}),
    Pod("impostor", {NAME: "frontend"}, {}, "elsewhere"),
    Pod("neighbour", {NAME: "grafana"}, {}, "monitoring"),
)

# The libraries' own settings, which their documentation explains.
FOREIGN = re.compile(r"PGPASSWORD|PYTHONPATH|DASK_TEMPORARY_DIRECTORY")


@pytest.fixture(params=OVERLAYS)
def cluster(request):
    """An overlay, and all that can stand beside it."""
    return load(request.param, *BESIDE)


@pytest.fixture
def production():
    return load("overlays/production")


def list_visitors(cluster, name, port):
    """Return who reaches a pod, among all pods and some from outside."""
    server = cluster.pods[name]
    others = [pod for pod in cluster.pods.values() if pod is not server]
    others += [INGRESS, PROMETHEUS, *STRANGERS]
    visitors = {pod.name for pod in others if cluster.reaches(pod, server, port)}
    # Not only because the others may not leave.
    assert {pod.name for pod in others if cluster.admits(server, pod, port)} == visitors
    return visitors


def list_mounts(pod, claim):
    """Whether each mount of the claim is read-only."""
    volumes = pod.spec.get("volumes", [])
    names = [it["name"] for it in volumes if claim in find_all(it, "claimName")]
    mounts = find_all(pod.containers, "volumeMounts")
    return [bool(it.get("readOnly")) for it in mounts if it["name"] in names]


def list_secrets(pod):
    references = find_all(pod.spec, "secretRef") + find_all(pod.spec, "secretKeyRef")
    return {*find_all(pod.spec, "secretName"), *(it["name"] for it in references)}


def test_all_is_in_one_restricted_namespace_and_no_secret_is_in_the_repository(cluster):
    [namespace] = [it for it in cluster.objects if it["kind"] == "Namespace"]
    others = {it["metadata"]["namespace"] for it in cluster.objects if it is not namespace}

    assert others == {NAMESPACE} == {namespace["metadata"]["name"]}
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert not cluster.find("Secret")


def test_what_selects_pods_selects_those_of_one_workload_with_the_ports_of_its_service(cluster):
    for kind in ("Deployment", "StatefulSet", "PodDisruptionBudget", "Service"):
        for name, it in cluster.find(kind).items():
            selector = it["spec"]["selector"]
            assert cluster.select(selector.get("matchLabels", selector)) == [name]
    for name, service in cluster.find("Service").items():
        [port] = service["spec"]["ports"]
        ports = find_all(cluster.pods[name].spec["containers"], "ports")
        there = {it["name"]: it["containerPort"] for it in ports}
        assert there[port["targetPort"]] == port["port"]


def test_no_pod_may_do_more_than_it_has_to(cluster):
    for pod in cluster.pods.values():
        context = pod.spec["securityContext"]
        assert (context["runAsNonRoot"], context["runAsUser"]) == (True, USER), pod.name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod.spec["automountServiceAccountToken"] is False
        assert pod.spec["enableServiceLinks"] is False  # Dask reads every DASK_… there is
    for container in cluster.containers:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_the_images_are_those_of_the_services(cluster):
    for service in SERVICES:
        assert f"USER {USER}\n" in (ROOT / service / "Dockerfile").read_text()
    images = {f"ghcr.io/OWNER/iris-ml/{it}:VERSION" for it in SERVICES}  # for sed
    assert {*find_all(cluster.objects, "image")} == images


def test_the_page_puts_ones_own_images_in_their_place(tmp_path):
    clone = shutil.copytree(FOLDER, tmp_path / "deploy/kubernetes").parents[1]

    found = []
    for command in re.findall(r"^sed .*", PAGE, re.MULTILINE):
        read("bash", "-c", command, folder=clone)
        text = "".join(it.read_text() for it in clone.glob("**/kustomization.yaml"))
        found.append(set(re.findall(r"newName: (\S+)\n +newTag: (\S+)", text)))

    names = [f"ghcr.io/owner/name/{it}" for it in SERVICES]
    assert found == [{(it, version) for it in names} for version in ("0.1.0", "0.2.0")]


def test_memory_is_limited_as_in_compose(cluster):
    compared = {"backend": "backend", "kserve": "backend", "frontend": "frontend"}
    compared |= dict.fromkeys(TRAINERS, "mlflow") | {SCORER: "score"}

    for name, service in compared.items():
        limit = cluster.pods[name].spec["containers"][0]["resources"]["limits"]["memory"]
        assert limit.upper().removesuffix("I") == COMPOSE[service]["mem_limit"].upper(), name
    for container in cluster.containers:
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}


def test_every_server_is_probed_at_a_port_and_a_path_that_answer(cluster):
    routes = "".join(path.read_text() for path in ROOT.glob("backend/routes/*.py"))
    answered = set(re.findall(r'@router\.get\(\s*"([^"]+)"', routes))
    answered |= {f"/v2{it}" for it in answered if it.startswith("/health")}

    for container in cluster.containers:
        for probe in (probe for name, probe in container.items() if name.endswith("Probe")):
            [port] = find_all(probe, "port")
            assert port in [it["name"] for it in container["ports"]]
    for name in (*SERVICES, "kserve", "dask-scheduler"):
        assert cluster.pods[name].containers[-1].keys() >= set(PROBES), name
    for name in BACKENDS:
        [container] = cluster.pods[name].containers
        starts, ready, lives = (container[it]["httpGet"]["path"] for it in PROBES)
        assert ready.endswith("/health/ready")
        assert lives.endswith("/health/live")  # a backend without a model lives
        assert starts == lives
        assert {ready, lives} <= answered


def test_a_backend_that_goes_has_time_to_end(cluster):
    launcher, recorder = (
        (ROOT / "backend" / it).read_text() for it in ("serve.py", "journal/recorder.py")
    )
    serving = re.search(r"^DRAIN_SECONDS = (\d+)", launcher, re.MULTILINE)[1]
    writing = re.search(r"^CLOSE_SECONDS = ([\d.]+)", recorder, re.MULTILINE)[1]

    for spec in (cluster.pods[name].spec for name in BACKENDS):
        pause = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pause >= 10
        assert spec["terminationGracePeriodSeconds"] > pause + float(serving) + float(writing)


def test_production_keeps_all_but_one_pod_and_all_of_them_in_an_upgrade(production):
    deployments = {name: it["spec"] for name, it in production.find("Deployment").items()}
    scaler = production.find("HorizontalPodAutoscaler")["backend"]["spec"]
    budgets = production.find("PodDisruptionBudget")

    assert scaler["scaleTargetRef"].items() >= {"kind": "Deployment", "name": "backend"}.items()
    assert 2 <= scaler["minReplicas"] < scaler["maxReplicas"]
    assert "replicas" not in deployments["backend"]  # or each `apply` would undo the autoscaler
    assert deployments["frontend"]["replicas"] >= 2
    for name in ("backend", "frontend"):
        assert budgets[name]["spec"]["maxUnavailable"] == 1
        assert budgets[name]["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    kept = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert [deployments[name]["strategy"] for name in SERVICES] == [kept] * len(SERVICES)


def test_a_journal_in_sqlite_has_one_pod_at_most(production):
    small = load("overlays/small")
    deployment = small.find("Deployment")["backend"]["spec"]
    journal = small.find("PersistentVolumeClaim")["journal"]["spec"]

    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    assert journal["accessModes"] == ["ReadWriteOnce"]
    assert list_mounts(small.pods["backend"], "journal") == [False]
    assert not small.find("HorizontalPodAutoscaler")
    assert "journal" in list_secrets(production.pods["backend"])
    assert "journal" not in production.find("PersistentVolumeClaim")


def test_claims_are_mounted_by_who_uses_them_and_models_written_by_trainers_alone(cluster):
    for name, claim in cluster.find("PersistentVolumeClaim").items():
        mounts = {pod.name: list_mounts(pod, name) for pod in cluster.pods.values()}
        users = {name for name, found in mounts.items() if found}
        assert users
        if len(users) > 1:  # they may be on several nodes
            assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
        if name == "models":
            assert users == BACKENDS | TRAINERS | {SCORER}
            assert all(all(mounts[it]) for it in (*BACKENDS, SCORER))
            assert not any(any(mounts[it]) for it in TRAINERS)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The keys of each Secret and ConfigMap that the page's own commands make, by its name."""
    folder = tmp_path_factory.mktemp("made")
    for name in ("keys/private/model_signing_key.pem", "keys/public/model_public_key.pem"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("what `make keys` writes")
    for name, start in (("journal", "JOURNAL_URL="), ("mlflow-stores", "MLFLOW_BACKEND_STORE")):
        block = re.search(rf"^```\n({start}.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[1]
        (folder / f"{name}.env").write_text(block)
    pair = "openssl req -x509 -newkey ed25519 -nodes -subj /CN=iris.example.org"
    told = re.findall(r"^python3 -c .*|^kubectl create (?:secret|configmap) .*", PAGE, re.MULTILINE)
    made = {}
    for command in (f"{pair} -keyout privkey.pem -out fullchain.pem", *told):
        dry = " --dry-run=client --output=json" if command.startswith("kubectl") else ""
        said = read("bash", "-c", command + dry, folder=folder)
        if dry:
            it = json.loads(said)
            made[it["kind"], it["metadata"]["name"]] = set(it["data"])
    return made


def test_every_claim_secret_and_configuration_is_made_or_documented(cluster, made):
    secrets = {name for kind, name in made if kind == "Secret"}
    configurations = {*cluster.find("ConfigMap"), *(it for kind, it in made if kind == "ConfigMap")}
    claims = cluster.find("PersistentVolumeClaim")

    assert {*find_all(cluster.objects, "claimName")} <= claims.keys()
    assert {*find_all(cluster.objects, "secretName")} <= secrets  # an ingress has some too
    for pod in cluster.pods.values():
        assert list_secrets(pod) <= secrets, pod.name
        for it in find_all(pod.spec, "configMapRef"):
            assert it["name"] in configurations
            is_needed = (pod.name, it["name"]) == (SCORER, "scoring")
            assert it.get("optional", False) is not is_needed


def test_pods_find_what_the_pages_commands_put_into_secrets(cluster, made):
    for reference in find_all(cluster.objects, "secretKeyRef"):
        assert reference["key"] in made["Secret", reference["name"]]
    for path, secret in (("backend/settings.py", "public"), ("mlflow/metrics.py", "signing")):
        default = re.search(rf'"/keys/(model_{secret}_key.pem)"', (ROOT / path).read_text())[1]
        assert made["Secret", f"model-{secret}-key"] == {default}
    assert made["Secret", "journal"] == {"JOURNAL_URL", "PGPASSWORD"}
    stores = {"MLFLOW_BACKEND_STORE_URI", "MLFLOW_ARTIFACTS_DESTINATION"}
    assert made["Secret", "mlflow-stores"] > stores


def test_a_key_is_only_where_it_is_used_and_models_have_to_be_signed(cluster):
    for secret, users in (
        ("model-signing-key", TRAINERS),
        ("model-public-key", BACKENDS | {SCORER}),
        ("api-key", BACKENDS | TRAINERS | {"frontend"}),
    ):
        pods = cluster.pods.values()
        assert {pod.name for pod in pods if secret in list_secrets(pod)} == users
    for name in (*BACKENDS, SCORER):
        [container] = cluster.pods[name].spec["containers"]
        assert {"name": "MODEL_TRUST", "value": "signed"} in container["env"]


def test_every_setting_is_documented(cluster):
    text = "".join(path.read_text() for path in ROOT.glob("docs/**/*.md"))
    documented = set(re.findall(r"^\| `([A-Z0-9_]+)`", text, re.MULTILINE))
    used = {it["name"] for it in find_all(cluster.containers, "env")}
    used |= {key for it in cluster.find("ConfigMap").values() for key in it["data"]}
    used |= set(re.findall(r"(?:^|--from-literal=)([A-Z0-9_]+)=[^$]", PAGE, re.MULTILINE))

    assert {"API_KEY", "JOURNAL_URL", "TARGET"} <= used
    assert {it for it in used if not FOREIGN.fullmatch(it)} <= documented


def test_every_server_is_reached_by_who_needs_it_at_no_other_port(cluster):
    ingress = {"ingress"} if cluster.find("Ingress") else set()
    reached = {
        ("frontend", 8001): ingress,
        ("backend", 8002): ingress | {"frontend", "prometheus"},
        ("kserve", 8002): {"ingress"},
        ("mlflow", 8003): TRAINERS,
        ("dask-scheduler", 8786): TRAINERS | {"dask-worker"},
        ("dask-worker", 40000): {"dask-scheduler"},
    }
    for name in (*SERVICES, *TRAINERS, SCORER, "kserve", "files"):
        reached |= {(name, port): set() for port in (22, 8000, 8786)}

    for (name, port), visitors in reached.items():
        assert list_visitors(cluster, name, port) == visitors, (name, port)


def test_the_ingress_reaches_what_proves_the_names_of_a_certificate(production):
    solver = Pod("solver", {"acme.cert-manager.io/http01-solver": "true"}, {})

    visitors = [it.name for it in (INGRESS, *STRANGERS) if production.reaches(it, solver, 8089)]

    assert visitors == ["ingress"]


def test_pods_reach_names_databases_and_stores_and_nothing_else_outside(cluster):
    pods = cluster.pods.values()
    is_large = bool(cluster.find("Ingress"))

    # The cluster's own, or a cache on each node, which is no pod of it.
    assert all(cluster.reaches(pod, it, 53) for pod in pods for it in (DNS, INTERNET))
    for port, expected in ((5432, {"backend", "mlflow"}), (443, {"mlflow"}), (80, set())):
        reached = {pod.name for pod in pods if cluster.reaches(pod, INTERNET, port)}
        assert reached == (expected if is_large else set()), port


def test_a_readers_page_stays_with_one_frontend(cluster):
    service = cluster.find("Service")["frontend"]

    assert service["spec"]["sessionAffinity"] == "ClientIP"
    if cluster.find("Ingress"):
        cookie = "traefik.ingress.kubernetes.io/service.sticky.cookie"
        assert service["metadata"]["annotations"][cookie] == "true"
        assert service["metadata"]["annotations"][f"{cookie}.secure"] == "true"


def test_what_is_opened_has_tls_and_mlflow_is_not(production):
    ingress = production.find("Ingress")["iris-ml"]
    entry = ingress["metadata"]["annotations"]["traefik.ingress.kubernetes.io/router.entrypoints"]

    assert {*find_all(ingress, "host")} == {*find_all(ingress, "hosts")}
    assert {it["name"] for it in find_all(ingress, "service")} == {"backend", "frontend"}
    assert entry == "websecure"


def find_end(rule):
    """What a rule of a failure policy does, for which container, after which exit codes."""
    return (rule["action"], rule["onExitCodes"]["containerName"], rule["onExitCodes"]["values"])


def test_trainings_do_not_overlap(cluster):
    assert cluster.find("CronJob")["trainer"]["spec"]["concurrencyPolicy"] == "Forbid"
    for pod in (cluster.pods[name] for name in TRAINERS):
        affinity = pod.spec["affinity"]["podAntiAffinity"]
        [term] = affinity["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["topologyKey"] == "kubernetes.io/os"  # all nodes are one place
        assert matches(term["labelSelector"], pod.labels)


def test_job_and_cron_job_train_alike_and_do_not_repeat_what_is_not_published(cluster):
    job = cluster.find("Job")["first-training"]["spec"]
    cron = cluster.find("CronJob")["trainer"]["spec"]["jobTemplate"]["spec"]
    [repeats] = cron["template"]["spec"]["containers"]
    starts = cron["template"]["spec"] | {"containers": [repeats | {"args": ["--first"]}]}
    refusal = cron["podFailurePolicy"]["rules"][0]

    assert job["template"]["spec"] == starts
    assert repeats["command"] == ["python3", "/app/metrics.py"]
    assert job["podFailurePolicy"] == cron["podFailurePolicy"]
    assert find_end(refusal) == ("FailJob", repeats["name"], [read_constant("WORSE_THAN_LIVE")])


def test_files_are_scored_when_asked_for_and_for_as_long_as_it_takes(cluster):
    cron = cluster.find("CronJob")[SCORER]["spec"]
    job = cron["jobTemplate"]["spec"]
    [container] = job["template"]["spec"]["containers"]
    [ended, ignored] = job["podFailurePolicy"]["rules"]

    assert cron["suspend"]
    assert "activeDeadlineSeconds" not in job
    parts = next(it["value"] for it in container["env"] if it["name"] == "PARTS")
    assert job["completionMode"] == "Indexed"
    assert job["completions"] == job["parallelism"] == int(parts)
    command = container["command"][-1]
    assert command.endswith('--part "$((JOB_COMPLETION_INDEX + 1))/$PARTS"')
    given = re.search(r"kubectl create configmap scoring (.*)", PAGE)[1]
    keys = re.findall(r"--from-literal=(\w+)=", given)
    assert keys == re.findall(r'"\$([A-Z]+)"', command) == ["IN", "OUT"]
    codes = [2, read_constant("SOME_ROWS_ARE_BAD")]
    assert find_end(ended) == ("FailJob", container["name"], codes)
    assert ignored == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}


def test_trainings_use_a_dask_cluster_as_in_compose(cluster):
    address = cluster.find("ConfigMap")["dask"]["data"]["DASK_SCHEDULER_ADDRESS"]

    assert address == "tcp://dask-scheduler:8786"
    assert cluster.find("Service")["dask-scheduler"]["spec"]["ports"][0]["port"] == 8786
    assert address in cluster.pods["dask-worker"].spec["containers"][0]["command"]
    for name in TRAINERS:
        sources = cluster.pods[name].spec["containers"][0]["envFrom"]
        assert {"configMapRef": {"name": "dask", "optional": True}} in sources
    for pod, service in (("dask-scheduler", "scheduler"), ("dask-worker", "worker")):
        [container] = cluster.pods[pod].spec["containers"]
        theirs = " ".join(COMPOSE[service]["command"]).replace("://scheduler", "://dask-scheduler")
        assert theirs.strip().endswith(" ".join(container["command"]))
        environment = {it["name"]: it["value"] for it in container["env"]}
        assert environment == COMPOSE[service]["environment"]


def test_kserve_runs_the_backends_container_in_a_pod_with_fields_of_its_own(cluster):
    service = cluster.find("InferenceService")["iris-ml"]
    spec = cluster.pods["kserve"].spec
    [ours], [theirs] = cluster.pods["backend"].spec["containers"], spec["containers"]

    assert service["apiVersion"] == "serving.kserve.io/v1beta1"
    assert service["spec"].keys() == {"predictor"}
    assert service["spec"]["predictor"].keys() - spec.keys() <= KSERVE_FIELDS
    assert theirs["name"] == "kserve-container"
    assert [it["containerPort"] for it in theirs["ports"]] == [8002]
    for key in ("image", "lifecycle", "securityContext"):
        assert theirs[key] == ours[key]
    alone = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "predictor"}, "spec": spec}
    for version in ("1.36.0", "1.37.0"):
        assert kubernetes_validate.validate(alone, version, strict=True)


def lint(folder, *first):
    """The check of a folder, with some programs instead of others."""
    path = [*first, Path(sys.executable).parent, os.environ["PATH"]]
    return run(folder / "validate.sh", PATH=":".join(map(str, path)))


def test_lint_refuses_what_kubernetes_would_and_that_nothing_is_checked(tmp_path):
    copy = shutil.copytree(FOLDER, tmp_path / "kubernetes")
    for name, right, wrong in (
        ("availability", "maxUnavailable: 1", "maxUnavailabel: 1"),
        ("ingress", "kind: Ingress", "kind: Ingres"),
        ("frontend", "replicas: 2", "replicas: two"),
    ):
        file = copy / f"overlays/production/{name}.yaml"
        assert right in file.read_text()
        file.write_text(file.read_text().replace(right, wrong))
    (tmp_path / "kubernetes-validate").symlink_to("/bin/true")

    checked, unchecked = lint(copy), lint(FOLDER, tmp_path)

    assert (checked.returncode, unchecked.returncode) == (1, 1)
    for said in ("'maxUnavailabel' was unexpected", "kind Ingres ", "'two' is not of type"):
        assert said in checked.stderr
    assert "kubernetes-validate has not checked base.yaml against 1.36." in unchecked.stderr


def test_the_page_lets_trainers_ask_the_backend_where_they_are_to(cluster):
    policies = list(yaml.safe_load_all(BLOCKS[0]))
    for policy in policies:
        kubernetes_validate.validate(policy, "1.37.0", strict=True)

    visitors = list_visitors(Cluster([*cluster.objects, *policies]), "backend", 8002)

    assert visitors - list_visitors(cluster, "backend", 8002) == TRAINERS


def test_prometheus_takes_what_the_page_gives_it(tmp_path):
    config = yaml.safe_load(BLOCKS[1])
    # Debian's Prometheus is built without it.
    [discovery] = config["scrape_configs"][0].pop("kubernetes_sd_configs")
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))

    promtool("check", "config", "--syntax-only", tmp_path / "prometheus.yml")

    assert discovery == {"role": "pod", "namespaces": {"names": [NAMESPACE]}}


def test_the_page_goes_back_to_an_older_model(cluster):
    template = cluster.find("CronJob")["trainer"]["spec"]["jobTemplate"]
    job = template | {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "go-back"}}
    patch = re.search(r"kubectl patch --local .*?--patch='.*?'", PAGE, re.DOTALL)[0]

    changed = json.loads(read("sh", "-c", patch, given=json.dumps(job)))

    assert find_all(changed, "args") == ["--republish", "2026_11_21_T20_44_20"]


def test_every_folder_that_the_page_applies_is_there():
    named = set(re.findall(r"-k deploy/kubernetes/([\w/]+)", PAGE))
    folders = {it.parent.relative_to(FOLDER).as_posix() for it in FOLDER.glob("**/*.yaml")}

    assert named == folders - {"base"}
