"""The whole stack in Docker, from a folder nobody but its owner may read."""

import json
import os
import pty
import re
import select
import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
import requests
from documentation import ROOT, find_command, read_commands
from made_tables import make_penguins
from page import SETOSA, expect_answer, fill, press, visit
from playwright.sync_api import expect
from processes import environment, find_free_port, running, wait_until
from sklearn.datasets import load_iris

# What the page does outside Docker it does here too: each runs again, on the stack's `url`.
from test_page import (  # noqa: F401
    test_a_bad_table_says_which_rows_and_keeps_the_file,
    test_a_dark_browser_gets_a_dark_page,
    test_a_french_browser_gets_a_french_page,
    test_a_prediction_is_shared_by_its_address,
    test_a_table_is_predicted_and_downloaded,
    test_enter_predicts_and_shows_why_and_where,
    test_no_view_keeps_anybody_out,
    test_on_a_phone_nothing_is_cut_off,
    test_the_keyboard_alone_is_enough,
)

SERVICES = ("backend", "frontend", "mlflow")
WRITABLE = {"backend": {"/tmp", "/journal"}, "frontend": {"/tmp"}, "mlflow": {"/tmp"}}
# A quick look at candidates, and no matter that the live model has had a longer one.
BRIEF = "--budget 0.1 --force"
# Where we are root, the folder is given to somebody else.
OWNER = os.geteuid() or 12345


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return make_clone(tmp_path_factory.mktemp("e2e") / "clone")


def make_clone(clone):
    """What a fresh clone of the working tree holds."""
    git = ["git", "-c", f"safe.directory={ROOT}"]  # whoever owns it
    command = [*git, "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    subprocess.run(["chmod", "-R", "go=", clone], check=True)
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", f"{OWNER}:{OWNER}", clone], check=True)
    return clone


@pytest.fixture(scope="module")
def stack(clone):
    """`make run` beside whatever else runs on this machine, with its first model live."""
    ports = {f"{name.upper()}_PORT": find_free_port() for name in SERVICES}
    variables = {
        **ports,
        "COMPOSE_PROJECT_NAME": f"iris-ml-e2e-{os.getpid()}",
        "MLFLOW_CONTAINER": f"mlflow-e2e-{os.getpid()}",
    }
    urls = {name: f"http://localhost:{ports[f'{name.upper()}_PORT']}" for name in SERVICES}
    stack = SimpleNamespace(clone=clone, variables=variables, **urls)
    try:
        with running(["make", "run"], str(clone), **variables):
            wait_until(lambda: live_version(stack), seconds=900)
            wait_until(lambda: requests.get(f"{stack.frontend}/_stcore/health").ok)
            yield stack
    finally:
        compose(stack, "down", "--volumes", "--rmi", "local")


@pytest.fixture
def url(stack):
    return stack.frontend


def run(stack, *command, **options):
    return subprocess.run(
        command,
        cwd=stack.clone,
        env=environment(**stack.variables),
        capture_output=True,
        text=True,
        **options,
    )


def compose(stack, *arguments):
    done = run(stack, "docker", "compose", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def container(stack, service):
    return compose(stack, "ps", "--all", "--quiet", service).strip()


def inspect(stack, service):
    done = run(stack, "docker", "inspect", container(stack, service))
    return json.loads(done.stdout)[0]


def live_version(stack):
    """None where no model is live yet."""
    return requests.get(f"{stack.backend}/health/ready").json().get("model_version")


def predict(stack):
    instance = dict(zip(map(snake, SETOSA), map(float, SETOSA.values()), strict=True))
    return requests.post(f"{stack.backend}/predict", json=instance).json()


def snake(name):
    return name.lower().replace(" ", "_")


def published(stack):
    return sorted(path.name for path in (stack.clone / "models").glob("*.pkl"))


def trainings(stack):
    body = {"experiment_ids": ["1"], "filter": "attributes.run_name = 'training'"}
    found = requests.post(f"{stack.mlflow}/api/2.0/mlflow/runs/search", json=body).json()
    return [run["info"]["run_id"] for run in found.get("runs", [])]


def test_the_readmes_curl_line_answers_a_prediction(stack):
    command = find_command("README.md", "curl").replace("http://localhost:8002", stack.backend)

    answer = json.loads(run(stack, "sh", "-c", command).stdout)

    assert answer["prediction_class"] == "setosa"
    assert answer["model_version"] == live_version(stack)


def test_one_first_model_is_trained_and_tracked(stack):
    assert len(published(stack)) == 1
    assert len(trainings(stack)) == 1


def test_a_version_leads_to_its_run_in_mlflow(stack, tab):
    tab.goto(stack.frontend)
    visit(tab, "Models")
    with tab.context.expect_page() as waiting:
        tab.get_by_role("link", name="Open its run in MLflow").click()

    expect(waiting.value.get_by_text("model_file")).to_be_visible(timeout=20_000)
    assert trainings(stack)[0] in waiting.value.url


def test_mlflow_shows_the_training_in_a_browser(stack, tab):
    tab.goto(f"{stack.mlflow}/#/experiments/1/runs/{trainings(stack)[0]}")

    expect(tab.get_by_role("link", name="LinearDiscriminantAnalysis").first).to_be_visible()
    expect(tab.get_by_text("model_file")).to_be_visible()


def retrain_by_exec(stack):
    name = stack.variables["MLFLOW_CONTAINER"]
    command = find_command("README.md", "docker exec").replace(" mlflow ", f" {name} ")
    return run(stack, "sh", "-c", command)


def retrain_in_a_shell(stack):
    name = stack.variables["MLFLOW_CONTAINER"]
    command = ["docker", "exec", "--interactive", name, "bash"]
    return run(stack, *command, input=f"python3 /app/metrics.py {BRIEF}\n")


def retrain_by_make(stack):
    return run(stack, "make", "train", f"ARGS=--seed 1 {BRIEF}")


@pytest.mark.parametrize("retrain", [retrain_by_exec, retrain_in_a_shell, retrain_by_make])
def test_a_retrained_model_goes_live(stack, retrain):
    before = live_version(stack)

    command = retrain(stack)

    assert command.returncode == 0, command.stderr
    assert "Chosen" in command.stdout
    assert f"Logged {stack.mlflow}/#/experiments/1/runs/" in command.stdout
    [version] = re.findall(r"Published /models/model_(\w+)\.pkl", command.stdout)
    assert version > before
    wait_until(lambda: predict(stack)["model_version"] == version)


def read_to(terminal, text):
    """What a terminal shows until it shows this; fails where the command ends before, or hangs."""
    shown = b""
    while text not in shown:
        assert select.select([terminal], [], [], 90)[0], shown
        shown += os.read(terminal, 4096)


def test_ctrl_c_in_a_terminal_ends_a_training_in_its_container(stack):
    models = published(stack)
    terminal, end = pty.openpty()
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), end)
    training = subprocess.Popen(
        ["make", "train"], cwd=stack.clone, env=environment(**stack.variables), **streams
    )
    os.close(end)

    read_to(terminal, b"Baseline")
    os.write(terminal, b"\x03")
    read_to(terminal, b"Stopped.")

    assert training.wait(60) == 2  # make's word for any failure
    os.close(terminal)
    trainer = ["docker", "top", container(stack, "mlflow"), "-eo", "pid,args"]
    wait_until(lambda: "metrics.py" not in run(stack, *trainer).stdout)
    assert published(stack) == models


def test_republishing_goes_back_to_an_older_version_and_the_page_says_so(stack, tab):
    tab.goto(stack.frontend)
    fill(tab, {"Petal length": "1.7"})
    oldest = published(stack)[0].removeprefix("model_").removesuffix(".pkl")
    name = stack.variables["MLFLOW_CONTAINER"]
    command = find_command("docs/models.md", "docker exec").replace(" mlflow ", f" {name} ")
    before = live_version(stack)

    done = run(stack, "sh", "-c", command.replace("2026_11_21_T20_44_20", oldest))

    assert done.returncode == 0, done.stderr
    wait_until(lambda: live_version(stack) > before)
    live = requests.get(f"{stack.backend}/models/live").json()
    assert live["republished_from"] == oldest
    expect(tab.get_by_text("A new model is live")).to_be_visible(timeout=15_000)
    expect(tab.get_by_role("spinbutton", name="Petal length")).to_have_value("1.7")


def grow_garden(seed):
    """Irises whose petals are measured otherwise, no two alike, with their names."""
    iris = load_iris()
    moved = np.random.default_rng(seed).normal([0, 0, 2.5, 1], 0.01, iris.data.shape)
    return (iris.data + moved).round(4), iris.target_names[iris.target]


def tell(stack, rows, names):
    """Predict each row, then say what each is."""
    session = requests.Session()
    columns = [snake(name) for name in SETOSA]
    labels = []
    for row, name in zip(rows.tolist(), names.tolist(), strict=True):
        instance = dict(zip(columns, row, strict=True))
        answer = session.post(f"{stack.backend}/predict", json=instance).json()
        labels.append({"prediction_id": answer["prediction_id"], "label": name})
    assert session.post(f"{stack.backend}/feedback", json=labels).json() == {"recorded": len(rows)}


def monitor(stack):
    return requests.get(f"{stack.backend}/monitoring").json()


def read_drift(stack):
    """Of the last hour, by feature."""
    window = monitor(stack)["drift"]["windows"][0]
    return {it["feature"]: it for it in window["features"]}


def accuracy_of(stack, version):
    found = monitor(stack)["accuracy"]["versions"]
    return next((it["accuracy"] for it in found if it["model_version"] == version), None)


def test_the_loop_closes_from_drift_over_feedback_to_a_better_model(stack, tab):
    before = live_version(stack)
    tell(stack, *grow_garden(seed=0))
    wait_until(lambda: read_drift(stack)["petal_length"]["verdict"] == "shifted")
    drifted = read_drift(stack)["petal_length"]["psi"]
    wait_until(lambda: accuracy_of(stack, before) is not None)
    assert accuracy_of(stack, before) < 0.7
    tab.goto(stack.frontend)
    visit(tab, "Monitoring")
    expect(tab.get_by_text("no longer like its training table").first).to_be_visible()

    command = find_command("docs/training.md", "docker exec mlflow python3 /app/metrics.py --with")
    name = stack.variables["MLFLOW_CONTAINER"]
    done = run(stack, "sh", "-c", command.replace(" mlflow ", f" {name} "))

    assert done.returncode == 0, done.stderr
    assert "150 rows added" in done.stdout
    wait_until(lambda: live_version(stack) > before)
    after = live_version(stack)
    assert requests.get(f"{stack.backend}/models/live").json()["dataset"]["rows"] == 300
    tell(stack, *grow_garden(seed=1))
    wait_until(lambda: accuracy_of(stack, after) is not None)
    assert accuracy_of(stack, after) > 0.9
    # Half of what it has learned from are flowers of before, so some of it stays.
    assert read_drift(stack)["petal_length"]["psi"] < drifted
    assert read_drift(stack)["petal_length"]["outside"] < 0.1


def test_the_second_best_version_answers_beside_the_live_one(stack):
    stack.variables["SHADOW"] = "challenger"
    compose(stack, "up", "--detach", "--wait", "backend")
    rows, names = grow_garden(seed=2)

    def is_answered():
        tell(stack, rows[:20], names[:20])
        return (monitor(stack)["shadow"] or {}).get("answered", 0) > 20

    wait_until(is_answered)
    found = monitor(stack)["shadow"]
    assert found["model_version"] != live_version(stack)
    assert 0 <= found["agreement"] <= 1
    assert found["count"] > 0
    del stack.variables["SHADOW"]


def test_with_a_key_only_who_has_it_is_answered(stack, tab):
    stack.variables["API_KEY"] = "first-key, second-key"
    compose(stack, "up", "--detach", "--wait", "backend", "frontend", "mlflow")
    wait_until(lambda: live_version(stack))
    name = stack.variables["MLFLOW_CONTAINER"]
    command = find_command("docs/training.md", "docker exec mlflow python3 /app/metrics.py --with")

    assert requests.post(f"{stack.backend}/predict", json={}).status_code == 401
    assert requests.get(f"{stack.backend}/metrics").status_code == 401
    tab.goto(stack.frontend)
    fill(tab, SETOSA)
    press(tab, "Predict")
    expect_answer(tab, "setosa")
    done = run(stack, "sh", "-c", f"{command.replace(' mlflow ', f' {name} ')} {BRIEF}")
    assert "Feedback: " in done.stdout

    del stack.variables["API_KEY"]
    compose(stack, "up", "--detach", "--wait", "backend", "frontend", "mlflow")
    wait_until(lambda: predict(stack)["model_version"])


def test_what_is_written_belongs_to_the_folders_owner(stack):
    written = [*stack.clone.glob("models/*"), *stack.clone.glob("mlflow/mlruns/**/*")]

    assert len(written) > 10
    assert {path.stat().st_uid for path in written} == {OWNER}


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_runs_as_root(stack, service):
    listed = run(stack, "docker", "top", container(stack, service), "-eo", "pid,uid,args").stdout

    processes = [line.split(maxsplit=2)[1:] for line in listed.splitlines()[1:]]
    # Docker's own: its init, and for a moment the health check.
    own = re.compile(r"/sbin/docker-init|python3 -c")
    services = [uid for uid, args in processes if not own.match(args)]
    assert services
    assert "0" not in services


@pytest.mark.parametrize("service", SERVICES)
def test_containers_may_do_no_more_than_they_need(stack, service):
    host = inspect(stack, service)["HostConfig"]

    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    added = {name.removeprefix("CAP_") for name in host["CapAdd"] or []}
    assert added <= {"SETUID", "SETGID", "KILL"}
    assert host["Init"]
    assert 0 < host["Memory"] <= 6 * 1024**3
    assert host["LogConfig"]["Config"]["max-size"]
    [[binding]] = host["PortBindings"].values()
    assert binding["HostIp"] == "127.0.0.1"


def test_the_backend_cannot_write_models(stack):
    mounts = {mount["Destination"]: mount["RW"] for mount in inspect(stack, "backend")["Mounts"]}

    assert mounts == {"/models": False, "/keys": False, "/journal": True}


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_is_small_change_and_not_roots(stack, service):
    image = inspect(stack, service)["Image"]
    look = "command -v gcc cc g++ make; ls -A /root/.cache /tmp /var/lib/apt/lists 2>/dev/null"
    command = ["docker", "run", "--rm", "--user", "0", "--entrypoint", "sh", image, "-c", look]

    user = run(stack, "docker", "inspect", "--format", "{{.Config.User}}", image).stdout.strip()
    assert user == "10001"
    assert not re.findall(r"gcc|cc$|http|\.whl", run(stack, *command).stdout)


def configure(clone, folder, **variables):
    """What Compose makes of the stack with what a folder of deploy/ adds to it."""
    files = ["-f", "docker-compose.yaml", "-f", f"deploy/{folder}/compose.yaml"]
    command = ["docker", "compose", *files, "config", "--format", "json"]
    return subprocess.run(
        command, cwd=clone, env=environment(**variables), capture_output=True, text=True
    )


def test_behind_caddy_no_service_has_a_port_of_its_own(clone):
    done = configure(clone, "caddy", DOMAIN="iris.example", API_KEY="key")

    services = json.loads(done.stdout)["services"]
    assert [services[name].get("ports") for name in SERVICES] == [None, None, None]
    assert {port["published"] for port in services["caddy"]["ports"]} == {"80", "443"}
    assert re.fullmatch(r"caddy:2\.\d+", services["caddy"]["image"])


@pytest.mark.parametrize(
    ("folder", "given", "missing"),
    [
        ("caddy", {"API_KEY": "key"}, "DOMAIN"),
        ("caddy", {"DOMAIN": "iris.example"}, "API_KEY"),
        ("mlflow-auth", {"MLFLOW_ADMIN_PASSWORD": "long enough"}, "MLFLOW_FLASK_SERVER_SECRET_KEY"),
        ("mlflow-auth", {"MLFLOW_FLASK_SERVER_SECRET_KEY": "key"}, "MLFLOW_ADMIN_PASSWORD"),
        ("postgresql", {"POSTGRES_MLFLOW_PASSWORD": "a"}, "POSTGRES_JOURNAL_PASSWORD"),
        ("postgresql", {"POSTGRES_JOURNAL_PASSWORD": "a"}, "POSTGRES_MLFLOW_PASSWORD"),
    ],
)
def test_what_opens_the_stack_asks_for_its_secrets(clone, folder, given, missing):
    done = configure(clone, folder, **given)

    assert done.returncode != 0
    assert f"set {missing}" in done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_in_an_image_is_writable_but_what_volumes_take_the_place_of(stack, service):
    image = inspect(stack, service)["Image"]
    find = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "find", image]

    found = run(stack, *find, "/", "-xdev", "-writable", "-not", "-type", "l").stdout.split()

    writable = {path for path in found if not path.startswith(("/proc", "/dev"))}
    assert writable == WRITABLE[service]


@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_container_comes_back_by_itself(stack, service):
    models, runs = published(stack), trainings(stack)
    owner = "10001" if service == "frontend" else str(OWNER)
    identifier = container(stack, service)

    run(stack, "docker", "exec", "--user", owner, identifier, "sh", "-c", "kill -9 -1")

    wait_until(lambda: inspect(stack, service)["RestartCount"] == 1)
    wait_until(lambda: inspect(stack, service)["State"]["Health"]["Status"] == "healthy", 60)
    wait_until(lambda: predict(stack).get("prediction_class") == "setosa")
    assert published(stack) == models
    assert trainings(stack) == runs


def test_a_stopped_backend_has_written_all_it_has_answered(stack):
    asked = [predict(stack)["prediction_id"] for _ in range(20)]

    compose(stack, "stop", "backend", "mlflow")

    logs = compose(stack, "logs", "--no-log-prefix", "--tail", "40", "backend", "mlflow")
    assert logs.count("Application shutdown complete") == 2  # of both, which were asked to end
    compose(stack, "start", "backend", "mlflow")
    labels = [{"prediction_id": it, "label": "setosa"} for it in asked]
    wait_until(lambda: requests.post(f"{stack.backend}/feedback", json=labels).ok)
    wait_until(lambda: trainings(stack) and live_version(stack))


def follow(stack, command):
    """Types it, with the address and the name that things have here."""
    command = command.replace("localhost:8002", stack.backend.removeprefix("http://"))
    command = command.replace("exec mlflow", f"exec {stack.variables['MLFLOW_CONTAINER']}")
    return run(stack, "bash", "-c", command)


def test_what_operations_says_to_look_at_can_be_looked_at(stack):
    # What is not there now.
    absent = r"localhost:9090|monitoring up|--republish|grep [0-9a-f]{32}"
    blocks = [it for it in read_commands("docs/operations.md") if "journal" not in it]
    lines = [it for block in blocks for it in block.splitlines() if not re.search(absent, it)]

    assert len(lines) > 20
    for line in lines:
        done = follow(stack, line)
        # 1 is grep's for nothing found.
        assert done.returncode == 0 or ("| grep" in line and done.returncode == 1), line
        assert not done.stderr or "docker compose" in line, done.stderr


def test_a_saved_journal_is_restored(stack):
    commands = read_commands("docs/operations.md")
    save, restore, read = [it for it in commands if re.search("journal-copy|import sqlite3", it)]
    identifier = predict(stack)["prediction_id"]
    wait_until(lambda: identifier in follow(stack, read).stdout)

    saved = follow(stack, save)
    later = predict(stack)["prediction_id"]
    wait_until(lambda: later in follow(stack, read).stdout)
    restored = follow(stack, restore)

    assert (saved.returncode, restored.returncode) == (0, 0), saved.stderr + restored.stderr
    wait_until(lambda: live_version(stack) and trainings(stack))
    read_again = follow(stack, read).stdout
    assert identifier in read_again
    assert later not in read_again
    for name in ("iris-ml-files.tar.gz", "journal-copy.db"):
        assert (stack.clone / name).stat().st_mode & 0o77 == 0
    listed = run(stack, "tar", "-tzf", "iris-ml-files.tar.gz").stdout
    assert f"models/{published(stack)[-1]}" in listed
    assert "mlflow/mlruns/mlflow.db" in listed
    after = predict(stack)["prediction_id"]
    wait_until(lambda: after in follow(stack, read).stdout)


def test_started_again_it_goes_on_with_what_was_there(stack):
    models, runs, version = published(stack), trainings(stack), live_version(stack)

    compose(stack, "up", "--detach")  # once more while it runs
    assert run(stack, "make", "down").returncode == 0
    assert compose(stack, "ps", "--all", "--quiet") == ""
    compose(stack, "up", "--detach", "--wait")

    logs = ["logs", "--no-log-prefix", "mlflow"]
    wait_until(lambda: "A model is published already" in compose(stack, *logs))
    wait_until(lambda: live_version(stack) == version)
    assert published(stack) == models
    assert trainings(stack) == runs


def test_with_keys_only_signed_models_are_served(stack):
    assert run(stack, "make", "keys").returncode == 0
    written = [stack.clone / "keys/private", stack.clone / "keys/public"]
    assert {path.stat().st_uid for folder in written for path in folder.glob("*.pem")} == {OWNER}
    unsigned = live_version(stack)

    stack.variables["MODEL_TRUST"] = "signed"
    compose(stack, "up", "--detach", "--wait")
    reason = requests.get(f"{stack.backend}/health/ready").json()["detail"]
    assert "It is not signed" in reason

    assert retrain_by_make(stack).returncode == 0
    wait_until(lambda: (live_version(stack) or "") > unsigned)
    live = requests.get(f"{stack.backend}/models/live").json()
    assert live["signature"] == "valid"
    states = {
        it["version"]: it["state"]
        for it in requests.get(f"{stack.backend}/models").json()["models"]
    }
    assert states[unsigned] == "refused"


def test_another_table_takes_iris_place(stack, tab):
    table = make_penguins(stack.clone / "data")
    if os.geteuid() == 0:
        os.chown(table, OWNER, OWNER)
    name = stack.variables["MLFLOW_CONTAINER"]
    commands = [it for it in read_commands("docs/training.md") if it.startswith("docker exec")]
    before = live_version(stack)

    done = run(stack, "sh", "-c", f"{commands[0].replace(' mlflow ', f' {name} ')} {BRIEF}")

    assert done.returncode == 0, done.stderr
    assert "Column id is left out" in done.stdout
    wait_until(lambda: live_version(stack) > before)
    tab.goto(stack.frontend)
    press(tab, "Predict")
    expect(tab.get_by_text("Which species is it?")).to_be_visible()
    expect(tab.get_by_role("combobox", name="Island")).to_be_visible()
    expect(tab.get_by_test_id("stMetricValue")).to_have_text(re.compile("class"))
    assert tab.faults == []


def test_prometheus_scrapes_the_backend_with_the_first_of_its_keys(stack):
    port = find_free_port()
    # The profile for what takes the stack down, too.
    stack.variables |= {"COMPOSE_PROFILES": "monitoring", "PROMETHEUS_PORT": port}
    stack.variables["API_KEY"] = "first-key, second-key"

    compose(stack, "up", "--detach", "--build", "--wait", "backend", "prometheus")

    assert requests.get(f"{stack.backend}/metrics").status_code == 401
    question = {"query": 'model_info{job="backend"} and on (instance) up == 1'}
    asked = f"http://localhost:{port}/api/v1/query"
    wait_until(lambda: requests.get(asked, question).json()["data"]["result"], 60)
    [live] = requests.get(asked, question).json()["data"]["result"]
    key = {"X-API-Key": "second-key"}
    model = requests.get(f"{stack.backend}/models/live", headers=key).json()
    assert live["metric"]["version"] == model["version"]
    assert inspect(stack, "prometheus")["HostConfig"]["ReadonlyRootfs"]


def start(stack, command):
    options = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    variables = environment(**stack.variables)
    return subprocess.Popen(["sh", "-c", command], cwd=stack.clone, env=variables, **options)


def read_until(stream, wanted):
    """What comes up to the line that has it."""
    lines = []
    for line in stream:
        lines.append(line)
        if wanted in line:
            break
    return "".join(lines)


def test_a_training_on_the_cluster_outlives_a_worker_and_is_that_of_one_machine(stack):
    # Both, for what takes the stack down.
    stack.variables["COMPOSE_PROFILES"] = "cluster,monitoring"
    compose(stack, "up", "--detach", "--build", "--wait", "scheduler", "worker")
    logs = ["logs", "--no-log-prefix", "scheduler"]
    wait_until(lambda: compose(stack, *logs).count("Register worker") == 2)
    name, before = stack.variables["MLFLOW_CONTAINER"], live_version(stack)
    command = find_command("docs/scaling.md", "docker exec -e DASK_SCHEDULER_ADDRESS")

    killed = compose(stack, "ps", "--quiet", "worker").split()[0]

    with start(stack, f"{command.replace(' mlflow ', f' {name} ')} --iris") as training:
        said = read_until(training.stdout, "GaussianNB done")
        run(stack, "docker", "exec", "--user", str(OWNER), killed, "sh", "-c", "kill -9 -1")
        assert training.poll() is None
        said += training.stdout.read()

    assert training.returncode == 0, said
    restarts = run(stack, "docker", "inspect", "--format", "{{.RestartCount}}", killed)
    assert restarts.stdout == "1\n"
    assert [line for line in said.splitlines() if "The cluster" in line] == [
        "The cluster has 2 workers with 2 cores in all."
    ]
    wait_until(lambda: live_version(stack) > before)
    manifests = sorted((stack.clone / "models").glob("*.json"))
    alone, together = (json.loads(manifests[it].read_text()) for it in (0, -1))
    for key in ("name", "estimator", "params", "metrics"):
        assert together[key] == alone[key], key
    expect_that_only_the_trainer_reaches_the_cluster(stack)


def expect_that_only_the_trainer_reaches_the_cluster(stack):
    host = inspect(stack, "scheduler")["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert not host["PortBindings"]
    assert list_networks(stack, "scheduler") == {"cluster"}
    connect = "import socket; socket.create_connection(('scheduler', 8786), 5)"
    asked = ["docker", "compose", "exec", "-T", "backend", "python3", "-c", connect]
    assert "gaierror" in run(stack, *asked).stderr


def write_table(stack, rows):
    """The live model's first example, over and over, where the container finds it."""
    manifest = json.loads(max((stack.clone / "models").glob("*.json")).read_text())
    inputs = manifest["examples"][0]["inputs"]
    line = ",".join("" if it is None else str(it) for it in inputs.values())
    file = stack.clone / "data/many.csv"
    file.write_text(",".join(inputs) + "\n" + f"{line}\n" * rows)
    os.chown(file, OWNER, OWNER if os.geteuid() == 0 else -1)


def score(stack, output, **variables):
    """Starts scoring.py in its container, with variables of its own."""
    given = [word for name, it in variables.items() for word in ("--env", f"{name}={it}")]
    command = ["docker", "exec", *given, stack.variables["MLFLOW_CONTAINER"]]
    command += ["python3", "/app/scoring.py", "data/many.csv", f"scored/{output}"]
    options = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, **options)


def test_files_are_scored_on_the_cluster_and_a_killed_worker_costs_nothing(stack):
    write_table(stack, 3_000_000)
    with score(stack, "alone.csv") as alone:
        assert alone.wait() == 0, alone.stderr.read()
    done = stack.clone / "scored/.cluster.csv.parts"
    killed, _ = compose(stack, "ps", "--quiet", "worker").split()

    with score(stack, "cluster.csv", DASK_SCHEDULER_ADDRESS="tcp://scheduler:8786") as scoring:
        wait_until(lambda: list(done.glob(".part-*.json")))
        run(stack, "docker", "kill", killed)
        assert scoring.wait() == 0, scoring.stderr.read()

        assert "The cluster" not in scoring.stderr.read()
    outputs = [stack.clone / f"scored/{name}.csv" for name in ("alone", "cluster")]
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert outputs[1].read_bytes().count(b"\n") == 3_000_001
    assert {path.stat().st_uid for path in outputs} == {OWNER}
    assert not done.exists()


@pytest.fixture(scope="module")
def on_postgresql(tmp_path_factory):
    """A stack of its own with deploy/postgresql, from nothing, with its first model live."""
    ports = {f"{name.upper()}_PORT": find_free_port() for name in SERVICES}
    passwords = [f"{name}'s p@ss:w/rd $HOME {os.urandom(8).hex()}" for name in ("one", "other")]
    variables = {
        **ports,
        "COMPOSE_PROJECT_NAME": f"iris-ml-e2e-postgresql-{os.getpid()}",
        "MLFLOW_CONTAINER": f"mlflow-e2e-postgresql-{os.getpid()}",
        "COMPOSE_FILE": "docker-compose.yaml:deploy/postgresql/compose.yaml",
        "POSTGRES_MLFLOW_PASSWORD": passwords[0],
        "POSTGRES_JOURNAL_PASSWORD": passwords[1],
    }
    urls = {name: f"http://localhost:{ports[f'{name.upper()}_PORT']}" for name in SERVICES}
    clone = make_clone(tmp_path_factory.mktemp("postgresql") / "clone")
    stack = SimpleNamespace(clone=clone, variables=variables, passwords=passwords, **urls)
    try:
        compose(stack, "up", "--detach", "--build", "--wait", "backend", "mlflow")
        wait_until(lambda: live_version(stack), seconds=300)
        yield stack
    finally:
        compose(stack, "down", "--volumes", "--rmi", "local")


def ask_database(stack, name, query):
    """The first value of its answer, as text."""
    command = ["exec", "-T", "postgresql", "psql", "--tuples-only", "--no-align", name, "-c", query]
    return compose(stack, *command).strip()


def count_written(stack):
    return int(ask_database(stack, "journal", "SELECT count(*) FROM predictions"))


def test_on_postgresql_runs_and_journal_are_in_databases_of_their_own(on_postgresql):
    stack = on_postgresql
    wait_until(lambda: len(trainings(stack)) == 1)
    before = count_written(stack)

    predict(stack)

    wait_until(lambda: count_written(stack) == before + 1)
    assert int(ask_database(stack, "mlflow", "SELECT count(*) FROM runs")) > len(trainings(stack))
    assert not list(stack.clone.glob("mlflow/mlruns/*.db*"))
    asked = "from pathlib import Path; print(list(Path('/journal').iterdir()))"
    assert compose(stack, "exec", "-T", "backend", "python3", "-c", asked) == "[]\n"


def test_postgresql_lets_in_each_service_to_its_own_database_only(on_postgresql):
    connect = "import psycopg; psycopg.connect('postgresql://{}@postgresql/{}'); print('in')"

    def try_in(service, user, database):
        command = ["docker", "compose", "exec", "-T", service, "python3", "-c"]
        return run(on_postgresql, *command, connect.format(user, database))

    assert try_in("backend", "journal", "journal").stdout == "in\n"
    assert try_in("mlflow", "mlflow", "mlflow").stdout == "in\n"
    for service, user, database in (
        ("backend", "journal", "mlflow"),
        ("backend", "mlflow", "mlflow"),
        ("mlflow", "mlflow", "journal"),
        ("backend", "postgres", "postgres"),
    ):
        assert "FATAL" in try_in(service, user, database).stderr
    networks = {name: list_networks(on_postgresql, name) for name in ("backend", "postgresql")}
    assert networks["backend"] == networks["postgresql"] | {"default"}
    assert networks["postgresql"] == {"databases"}


def list_networks(stack, service):
    project = stack.variables["COMPOSE_PROJECT_NAME"]
    networks = inspect(stack, service)["NetworkSettings"]["Networks"]
    return {name.removeprefix(f"{project}_") for name in networks}


def test_postgresql_may_do_no_more_than_it_needs(on_postgresql):
    stack = on_postgresql
    found = inspect(stack, "postgresql")

    assert found["Config"]["User"] == "10001"
    assert found["HostConfig"]["ReadonlyRootfs"]
    assert found["HostConfig"]["CapDrop"] == ["ALL"]
    assert not found["HostConfig"]["PortBindings"]
    secrets = [*stack.passwords, *(it.replace("'", "''") for it in stack.passwords)]
    logs = compose(stack, "logs", "--no-color")
    processes = compose(stack, "top")
    assert not [it for it in secrets if it in logs + processes]


def is_written(stack, identifier):
    return ask_database(stack, "journal", f"SELECT id FROM predictions WHERE id = '{identifier}'")


def wait_for_database(stack):
    wait_until(lambda: inspect(stack, "postgresql")["State"]["Health"]["Status"] == "healthy")


def test_postgresql_may_be_away_when_the_services_start(on_postgresql):
    stack = on_postgresql
    runs = trainings(stack)
    compose(stack, "stop", "postgresql")

    compose(stack, "restart", "--no-deps", "mlflow", "backend")
    wait_until(lambda: predict(stack).get("prediction_class") == "setosa")
    identifier = predict(stack)["prediction_id"]
    compose(stack, "start", "postgresql")

    wait_for_database(stack)
    wait_until(lambda: is_written(stack, identifier))
    wait_until(lambda: trainings(stack) == runs, seconds=180)


def test_a_killed_postgresql_comes_back_and_nothing_is_lost(on_postgresql):
    stack = on_postgresql
    runs = trainings(stack)

    run(stack, "docker", "exec", container(stack, "postgresql"), "sh", "-c", "kill -9 -1")
    identifier = predict(stack)["prediction_id"]

    wait_until(lambda: inspect(stack, "postgresql")["RestartCount"] == 1)
    wait_for_database(stack)
    wait_until(lambda: is_written(stack, identifier))
    wait_until(lambda: trainings(stack) == runs)


def test_a_changed_password_holds_from_the_next_start(on_postgresql):
    stack = on_postgresql
    stack.variables["POSTGRES_JOURNAL_PASSWORD"] = "another one"

    compose(stack, "up", "--detach", "--wait", "backend")

    wait_until(lambda: predict(stack).get("prediction_class") == "setosa")
    identifier = predict(stack)["prediction_id"]
    wait_until(lambda: is_written(stack, identifier))


def test_saved_databases_are_restored_into_an_empty_volume(on_postgresql):
    stack = on_postgresql
    identifier = predict(stack)["prediction_id"]
    wait_until(lambda: is_written(stack, identifier))
    save, restore = [it for it in read_commands("docs/scaling.md") if "pg_" in it]
    runs, written = trainings(stack), count_written(stack)

    assert run(stack, "sh", "-ec", save).returncode == 0
    compose(stack, "down", "--volumes")
    done = run(stack, "sh", "-ec", restore)

    assert done.returncode == 0, done.stderr
    wait_until(lambda: trainings(stack) == runs)
    assert count_written(stack) == written
    assert is_written(stack, identifier)
    wait_until(lambda: predict(stack).get("prediction_class") == "setosa")
    wait_until(lambda: count_written(stack) > written)
