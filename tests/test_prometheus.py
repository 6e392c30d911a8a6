"""Prometheus and Grafana ask for what the backend tells, and every alert says what to do."""

import json
import re
import sys
from contextlib import suppress

import pytest
import requests
import yaml
from documentation import ROOT, find_all
from processes import INSTANCE, running_backend, wait_until
from servers import promtool, running_prometheus
from shell import read

sys.path.append(str(ROOT / "frontend/tests"))
from mixed import publish_iris

FOLDER = ROOT / "deploy/prometheus"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())
RULES = find_all(yaml.safe_load((FOLDER / "alerts.yml").read_text()), "rules")
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}

KEY = "first-key"

# Words of PromQL and Prometheus' own metrics.
WORDS = {"and", "or", "unless", "up", "ALERTS"}


def list_expressions():
    """The dashboard's expressions, its variables filled in as Grafana does."""
    [variable] = DASHBOARD["templating"]["list"]
    asked = re.fullmatch(r"label_values\((.+), \w+\)", variable["query"]["query"])[1]
    said = json.dumps([*find_all(DASHBOARD, "expr"), asked])
    return json.loads(re.sub(r"\$__(rate_)?interval", "5m", said).replace("$instance", ".*"))


EXPRESSIONS = list_expressions()


def find_metrics(expression):
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]', "", expression)
    bare = re.sub(r"\b(by|on)\s*\([^)]*\)", "", bare)
    return set(re.findall(r"\b[a-zA-Z_:][\w:]*\b(?!\s*\()", bare)) - WORDS


def find_labels(expression):
    """The labels that an expression groups and selects by."""
    groups = re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression)
    selected = re.findall(r'[{,]\s*(\w+)(?:=|!=|=~|!~)"', expression)
    return {*selected, *re.findall(r"\w+", " ".join(groups))}


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    """One that has keys, a journal and a shadow, a model that is live and one that is refused."""
    models_dir, journal = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("journal")
    publish_iris(models_dir, C=0.1)
    publish_iris(models_dir, "2026_11_21_T20_44_21")
    (models_dir / "model_2099_01_01_T00_00_00.pkl").write_bytes(b"no pickle")
    settings = {
        "API_KEY": f"{KEY}, second-key",
        "JOURNAL": "on",
        "JOURNAL_URL": f"sqlite:///{journal}/journal.db",
        "SHADOW": "challenger",
    }
    with running_backend(models_dir, **settings) as url:
        assert ask(url, "/predict", INSTANCE).ok
        yield url


def ask(backend, path, body=None):
    """Post what there is to post, and else get."""
    headers, method = {"Authorization": f"Bearer {KEY}"}, "POST" if body else "GET"
    return requests.request(method, f"{backend}{path}", json=body, headers=headers, timeout=60)


def use_everything(backend):
    """Whether a prediction's label was taken; beside it rows enough to tell drift by."""
    ask(backend, "/predict/batch", {"instances": [INSTANCE] * 100})
    prediction = ask(backend, "/predict", INSTANCE).json()
    label = {"prediction_id": prediction["prediction_id"], "label": "setosa"}
    return ask(backend, "/feedback", label).ok


def list_exposed(backend):
    families = re.findall(r"^# TYPE (\S+) (\S+)$", ask(backend, "/metrics").text, re.MULTILINE)
    parts = {"histogram": ("_bucket", "_sum", "_count")}
    return {f"{name}{part}" for name, kind in families for part in parts.get(kind, ("",))}


@pytest.fixture(scope="module")
def prometheus(backend, tmp_path_factory):
    """A real one, with the stack's configuration but for addresses and patience."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "api_key").write_text(KEY)
    text = (FOLDER / "prometheus.yml").read_text()
    changes = {
        "15s": "1s",
        "/tmp/api_key": str(folder / "api_key"),
        "backend:8002": backend.removeprefix("http://"),
        "alerts.yml]": f"{FOLDER}/alerts.yml]",
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "prometheus.yml").write_text(text)
    promtool("check", "config", "--syntax-only", FOLDER / "prometheus.yml")
    with running_prometheus(folder / "prometheus.yml", folder / "data") as url:
        yield url


def query(prometheus, expression):
    answer = requests.get(f"{prometheus}/api/v1/query", params={"query": expression}, timeout=60)
    assert answer.ok, f"{expression}: {answer.text}"
    return answer.json()["data"]["result"]


def test_every_alert_fires_when_it_should_and_not_otherwise():
    tests = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())
    cases = find_all(tests, "alert_rule_test")

    promtool("test", "rules", FOLDER / "alerts_test.yml")

    tested = {(case["alertname"], bool(case["exp_alerts"])) for case in cases}
    assert tested == {(name, fires) for name in ALERTS for fires in (True, False)}


def test_an_alert_says_how_bad_it_is_and_where_whoever_is_called_reads_on():
    page = (ROOT / "docs/operations.md").read_text()
    section = page.partition("\n## The alerts\n")[2].partition("\n## ")[0]

    assert re.findall(r"^### (\w+)$", section, re.MULTILINE) == list(ALERTS)
    for name, alert in ALERTS.items():
        annotations = alert["annotations"]
        assert alert["labels"]["severity"] in ("critical", "warning"), name
        assert all(annotations[it] for it in ("summary", "description")), name
        assert annotations["runbook_url"] == f"docs/operations.md#{name.lower()}"


def test_every_metric_and_label_of_alerts_and_dashboard_is_one_of_the_backends(backend):
    expressions = [*EXPRESSIONS, *(rule["expr"] for rule in RULES)]
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    named = set.union(*map(find_metrics, expressions))
    legends = re.findall(r"\{\{(\w+)\}\}", json.dumps(DASHBOARD))

    def has_all():
        has_drift = "model_feature_psi{" in ask(backend, "/metrics").text
        return use_everything(backend) and has_drift and named - recorded <= list_exposed(backend)

    with suppress(AssertionError):  # which ones are missing says more
        wait_until(has_all)

    assert named - recorded - list_exposed(backend) == set()
    assert recorded <= named
    labels = set(re.findall(r'[{,](\w+)="', ask(backend, "/metrics").text))
    used = {*legends, *set.union(*map(find_labels, expressions))}
    assert used <= labels | {"job", "instance", "alertname"}


def test_the_counters_and_histograms_are_documented_as_the_backend_has_them(backend):
    page = (ROOT / "docs/reference/metrics.md").read_text()

    types = re.findall(r"^# TYPE (\w+) (\w+)", ask(backend, "/metrics").text, re.MULTILINE)

    assert len(types) > 10
    assert [it for it in types if "| `{}` | {} |".format(*it) not in page] == []


def test_prometheus_reads_the_backend_with_its_key(backend, prometheus):
    wait_until(lambda: query(prometheus, 'up{job="backend"} == 1'))

    assert requests.get(f"{backend}/metrics", timeout=60).status_code == 401
    [live] = query(prometheus, 'model_info{job="backend"}')
    assert live["metric"]["version"] == ask(backend, "/models/live").json()["version"]
    assert live["value"][1] == "1"


def test_prometheus_evaluates_every_rule_and_answers_what_the_dashboard_asks(prometheus):
    def evaluate():
        answer = requests.get(f"{prometheus}/api/v1/rules", timeout=60).json()
        return {rule["health"] for rule in find_all(answer, "rules")}

    wait_until(lambda: "unknown" not in evaluate())

    assert evaluate() == {"ok"}
    for expression in EXPRESSIONS:
        query(prometheus, expression)


def test_the_dashboard_asks_the_data_source_that_is_provisioned():
    provisioned = yaml.safe_load((ROOT / "deploy/grafana/datasource.yml").read_text())
    [source] = provisioned["datasources"]

    asked = re.findall(r'"datasource": (\{.*?\})', json.dumps(DASHBOARD))
    assert {json.loads(it)["uid"] for it in asked} == {source["uid"]}
    assert all("datasource" in it for it in DASHBOARD["panels"] if it["type"] != "row")


def test_no_panel_of_the_dashboard_hides_another():
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.parametrize(
    ("name", "profile"), [("prometheus", "monitoring"), ("grafana", "grafana")]
)
def test_what_monitors_starts_only_when_asked_for_and_may_do_little(name, profile):
    service = COMPOSE[name]
    [port] = service["ports"]

    limits = {"read_only": True, "cap_drop": ["ALL"], "mem_limit": "512m"}
    limits |= {"security_opt": ["no-new-privileges:true"], "profiles": [profile]}
    assert {key: service[key] for key in limits} == limits
    assert "cap_add" not in service
    assert service["healthcheck"]["test"]
    assert port.startswith("${BIND_ADDRESS:-127.0.0.1}:${" + name.upper())


def start_grafana(**variables):
    """Return what the entry point says and the password that Grafana starts with."""
    script = (ROOT / "deploy/grafana/entrypoint.sh").read_text().replace("exec /run.sh", "exec env")
    said = read("sh", "-c", script, **variables)
    return said, re.search(r"^GF_SECURITY_ADMIN_PASSWORD=(.+)$", said, re.MULTILINE)[1]


def test_grafana_has_the_password_it_is_given_or_one_that_nobody_else_has():
    variables = COMPOSE["grafana"]["environment"]

    (said, made), (_, another) = start_grafana(), start_grafana(GF_SECURITY_ADMIN_PASSWORD="")
    quiet, given = start_grafana(GF_SECURITY_ADMIN_PASSWORD="my-own-word")

    assert variables["GF_SECURITY_ADMIN_PASSWORD"] == "${GRAFANA_PASSWORD:-}"
    assert variables["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert len(made) == 20
    assert made != another
    assert said.startswith("GRAFANA_PASSWORD is not set.")
    assert made in said.partition("\n")[0]
    assert given == "my-own-word"
    assert quiet.count("my-own-word") == 1
