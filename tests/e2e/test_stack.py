"""The whole stack in Docker, from a folder nobody but its owner may read."""

import csv
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
import shell
from documentation import find_command, read_commands
from made_tables import make_penguins
from page import SETOSA, expect_answer, fill, press, visit
from playwright.sync_api import expect
from processes import SERVICES, environment, find_free_port, running, wait_until
from sklearn.datasets import load_iris
from test_page import download, upload

WRITABLE = {"backend": {"/tmp", "/journal"}, "frontend": {"/tmp"}, "mlflow": {"/tmp"}}
# One candidate, published even if the live model is better.
BRIEF = "--only GaussianNB --force"
INSTANCE = {name.lower().replace(" ", "_"): float(value) for name, value in SETOSA.items()}


@pytest.fixture(scope="module")
def stack(clone, project):
    """`make run` beside whatever else runs on this machine, with its first model live."""
    ports = {f"{name.upper()}_PORT": find_free_port() for name in SERVICES}
    name = f"mlflow-e2e-{os.getpid()}"
    variables = {**ports, "COMPOSE_PROJECT_NAME": project, "MLFLOW_CONTAINER": name}
    urls = {name: f"http://localhost:{ports[f'{name.upper()}_PORT']}" for name in SERVICES}
    stack = SimpleNamespace(clone=clone, own=dict(variables), variables=variables, **urls)
    try:
        with running(["make", "run"], str(clone), **variables):
            wait_until(lambda: live_version(stack), seconds=900)
            wait_until(lambda: requests.get(f"{stack.frontend}/_stcore/health").ok)
            yield stack
    finally:
        compose(stack, "--profile", "*", "down", "--volumes")


def run(stack, *command, **options):
    return shell.run(*command, folder=stack.clone, **stack.variables, **options)


def compose(stack, *arguments):
    return shell.read("docker", "compose", *arguments, folder=stack.clone, **stack.variables)


def localize(stack, command):
    """A command of the documentation, with the names and ports that things have here."""
    command = command.replace("localhost:8002", stack.backend.removeprefix("http://"))
    name = stack.variables["MLFLOW_CONTAINER"]
    return re.sub(r"(docker exec .*?)\bmlflow ", rf"\1{name} ", command)


def follow(stack, command):
    return run(stack, "bash", "-c", localize(stack, command))


def start(stack, command, **streams):
    """Pipe its output unless a stream is given."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} | streams
    options = {"cwd": stack.clone, "env": environment(**stack.variables), **streams}
    return subprocess.Popen(["bash", "-c", localize(stack, command)], **options)


def container(stack, service):
    return compose(stack, "ps", "--all", "--quiet", service).strip()


def inspect(stack, service):
    done = run(stack, "docker", "inspect", container(stack, service))
    return json.loads(done.stdout)[0]


def ask(stack, path, **options):
    """GET, or POST if there is a body, with the first of the stack's keys if it has any."""
    key = {"X-API-Key": stack.variables.get("API_KEY", "").partition(",")[0]}
    method = "POST" if options else "GET"
    return requests.request(method, f"{stack.backend}{path}", headers=key, **options)


def live_version(stack):
    """The live version, or None until a model is live."""
    return ask(stack, "/health/ready").json().get("model_version")


def predict(stack):
    return ask(stack, "/predict", json=INSTANCE).json()


def owner_of(stack):
    return stack.clone.stat().st_uid


def published(stack):
    return sorted(path.name for path in (stack.clone / "models").glob("*.pkl"))


def read_manifests(stack):
    """The manifests of all versions, oldest first."""
    return [json.loads(it.read_text()) for it in sorted((stack.clone / "models").glob("*.json"))]


def trainings(stack):
    body = {"experiment_ids": ["1"], "filter": "attributes.run_name = 'training'"}
    found = requests.post(f"{stack.mlflow}/api/2.0/mlflow/runs/search", json=body).json()
    return [run["info"]["run_id"] for run in found.get("runs", [])]


def test_one_first_model_is_trained_and_tracked_and_answers_the_readmes_curl(stack):
    answer = json.loads(follow(stack, find_command("README.md", "curl")).stdout)

    assert answer["prediction_class"] == "setosa"
    assert answer["model_version"] == live_version(stack)
    assert len(published(stack)) == 1
    assert ask(stack, "/models/live").json()["signature"] == "signed"
    wait_until(lambda: len(trainings(stack)) == 1)


def test_the_page_predicts_takes_a_table_and_leads_to_the_run_in_mlflow(stack, tab):
    tab.goto(stack.frontend)
    fill(tab, SETOSA)
    press(tab, "Predict")
    expect_answer(tab, "setosa")
    visit(tab, "Batch")
    row = ",".join(SETOSA.values())
    upload(tab, "irises.csv", ",".join(INSTANCE) + f"\n{row}" * 20)
    press(tab, "Predict every row")
    expect(tab.get_by_text("Rows predicted: 20 in")).to_be_visible()
    answers = list(csv.DictReader(download(tab, "Download as CSV").read_text().splitlines()))
    visit(tab, "Models")
    with tab.context.expect_page() as opening:
        tab.get_by_role("link", name="Open its run in MLflow").click()
    run_page = opening.value

    expect(run_page.get_by_text("model_file")).to_be_visible()
    expect(run_page.get_by_role("link", name="LinearDiscriminantAnalysis").first).to_be_visible()
    assert trainings(stack)[0] in run_page.url
    assert [it["prediction_class"] for it in answers] == ["setosa"] * 20
    assert tab.faults == []


def retrain_by_exec(stack):
    return follow(stack, f"{find_command('README.md', 'docker exec')} {BRIEF}")


def retrain_in_a_shell(stack):
    command = ["docker", "exec", "--interactive", stack.variables["MLFLOW_CONTAINER"], "bash"]
    return run(stack, *command, given=f"python3 /app/metrics.py {BRIEF}\n")


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
    """Read a terminal until it shows this; fails if the command ends before, or hangs."""
    shown = b""
    while text not in shown:
        assert select.select([terminal], [], [], 90)[0], shown
        shown += os.read(terminal, 4096)


def test_ctrl_c_in_a_terminal_ends_a_training_in_its_container(stack):
    models = published(stack)
    terminal, end = pty.openpty()
    training = start(stack, "make train", stdin=end, stdout=end)
    os.close(end)

    read_to(terminal, b"Baseline")
    os.write(terminal, b"\x03")
    read_to(terminal, b"Stopped.")

    assert training.wait(60) == 2  # make's word for any failure
    os.close(terminal)
    trainer = ["docker", "top", container(stack, "mlflow"), "-eo", "pid,args"]
    wait_until(lambda: "metrics.py" not in run(stack, *trainer).stdout)
    assert published(stack) == models


def test_republishing_goes_back_to_an_older_version(stack):
    oldest = published(stack)[0].removeprefix("model_").removesuffix(".pkl")
    command = find_command("docs/models.md", "docker exec")
    before = live_version(stack)

    done = follow(stack, command.replace("2026_11_21_T20_44_20", oldest))

    assert done.returncode == 0, done.stderr
    wait_until(lambda: live_version(stack) > before)
    assert ask(stack, "/models/live").json()["republished_from"] == oldest


def test_what_is_written_belongs_to_the_folders_owner(stack):
    keys = sorted(stack.clone.glob("keys/*/*.pem"))
    written = [*stack.clone.glob("models/*"), *stack.clone.glob("mlflow/mlruns/**/*"), *keys]

    assert len(written) > 10
    assert [path.stat().st_mode & 0o777 for path in keys] == [0o600, 0o644]
    assert {path.stat().st_uid for path in written} == {owner_of(stack)}


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_may_do_no_more_than_it_needs(stack, service):
    host = inspect(stack, service)["HostConfig"]
    listed = run(stack, "docker", "top", container(stack, service), "-eo", "pid,uid,args").stdout

    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    added = {name.removeprefix("CAP_") for name in host["CapAdd"] or []}
    assert added <= {"SETUID", "SETGID", "KILL"}
    assert host["Init"]
    assert 0 < host["Memory"] <= 6 * 1024**3
    assert host["LogConfig"]["Config"]["max-size"]
    [[binding]] = host["PortBindings"].values()
    assert binding["HostIp"] == "127.0.0.1"
    processes = [line.split(maxsplit=2)[1:] for line in listed.splitlines()[1:]]
    # Docker's own: its init, and for a moment the health check.
    own = re.compile(r"/sbin/docker-init|python3 -c")
    users = [uid for uid, args in processes if not own.match(args)]
    assert users
    assert "0" not in users


def test_the_backend_cannot_write_models(stack):
    mounts = {mount["Destination"]: mount["RW"] for mount in inspect(stack, "backend")["Mounts"]}

    assert mounts == {"/models": False, "/keys": False, "/journal": True}


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_is_small_and_nothing_in_it_can_be_written(stack, project, service):
    start = ["docker", "run", "--rm", "--network", "none", "--entrypoint"]
    image = f"{project}-{service}"
    look = "command -v gcc cc g++ make; ls -A /root/.cache /tmp /var/lib/apt/lists 2>/dev/null"

    user = run(stack, "docker", "inspect", "--format", "{{.Config.User}}", image).stdout.strip()
    left = run(stack, *start, "sh", "--user", "0", image, "-c", look).stdout
    found = run(stack, *start, "find", image, "/", "-xdev", "-writable", "-not", "-type", "l")

    assert user == "10001"
    assert not re.findall(r"gcc|cc$|http|\.whl", left)
    paths = found.stdout.split()
    writable = {path for path in paths if not path.startswith(("/proc", "/dev"))}
    assert writable == WRITABLE[service]


def configure(clone, folder, **variables):
    """Print the stack's Compose file merged with the one of a folder in deploy/."""
    files = ["-f", "docker-compose.yaml", "-f", f"deploy/{folder}/compose.yaml"]
    command = ("docker", "compose", *files, "config", "--format", "json")
    return shell.run(*command, folder=clone, **variables)


def test_behind_caddy_no_service_has_a_port_of_its_own(clone):
    done = configure(clone, "caddy", DOMAIN="iris.example", API_KEY="key")

    services = json.loads(done.stdout)["services"]
    assert [services[name].get("ports") for name in SERVICES] == [None, None, None]
    assert {port["published"] for port in services["caddy"]["ports"]} == {"80", "443"}
    assert re.fullmatch(r"caddy:2\.\d+", services["caddy"]["image"])


@pytest.mark.parametrize(
    ("folder", "given", "missing"),
    [
        ("caddy", "API_KEY", "DOMAIN"),
        ("caddy", "DOMAIN", "API_KEY"),
        ("mlflow-auth", "MLFLOW_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY"),
        ("mlflow-auth", "MLFLOW_FLASK_SERVER_SECRET_KEY", "MLFLOW_ADMIN_PASSWORD"),
        ("postgresql", "POSTGRES_MLFLOW_PASSWORD", "POSTGRES_JOURNAL_PASSWORD"),
        ("postgresql", "POSTGRES_JOURNAL_PASSWORD", "POSTGRES_MLFLOW_PASSWORD"),
    ],
)
def test_what_opens_the_stack_asks_for_its_secrets(clone, folder, given, missing):
    done = configure(clone, folder, **{given: "long enough"})

    assert done.returncode != 0
    assert f"set {missing}" in done.stderr


def test_what_operations_says_to_look_at_can_be_looked_at(stack):
    # These ask what does not run now.
    absent = r"localhost:9090|make monitoring|--republish|grep [0-9a-f]{32}"
    blocks = [it for it in read_commands("docs/operations.md") if "journal" not in it]
    typed = dict.fromkeys(line for block in blocks for line in block.splitlines())
    lines = [it for it in typed if not re.search(absent, it)]

    assert len(lines) > 15
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


def test_killed_containers_come_back_by_themselves(stack):
    models, runs = published(stack), trainings(stack)

    for service in SERVICES:
        owner = 10001 if service == "frontend" else owner_of(stack)
        kill = ["docker", "exec", "--user", owner, container(stack, service)]
        run(stack, *kill, "sh", "-c", "kill -9 -1")

    for service in SERVICES:
        wait_for_restart(stack, service)
    wait_until(lambda: predict(stack).get("prediction_class") == "setosa")
    assert published(stack) == models
    assert trainings(stack) == runs


def wait_for_restart(stack, service):
    wait_until(lambda: inspect(stack, service)["RestartCount"] == 1)
    wait_for_health(stack, service)


def wait_for_health(stack, service):
    wait_until(lambda: inspect(stack, service)["State"]["Health"]["Status"] == "healthy")


@pytest.fixture(scope="module")
def before(stack):
    """Stop the stack, start it again with a key and a shadow, and return what it had before."""
    had = SimpleNamespace(models=published(stack), runs=trainings(stack))
    had.version = live_version(stack)
    had.asked = [predict(stack)["prediction_id"] for _ in range(20)]
    compose(stack, "up", "--detach")  # once more while it runs
    compose(stack, "stop", "backend", "mlflow")
    had.log = compose(stack, "logs", "--no-log-prefix", "--tail", "5", "backend", "mlflow")
    assert run(stack, "make", "down").returncode == 0
    assert compose(stack, "ps", "--all", "--quiet") == ""
    stack.variables |= {"API_KEY": "first-key, second-key", "SHADOW": "challenger"}
    compose(stack, "up", "--detach", "--wait")
    wait_until(lambda: live_version(stack))
    return had


def test_started_again_it_goes_on_with_all_that_was_answered(stack, before):
    assert before.log.count("Application shutdown complete") == 2  # backend and MLflow
    logs = ["logs", "--no-log-prefix", "mlflow"]
    wait_until(lambda: "A model is published already" in compose(stack, *logs))
    wait_until(lambda: live_version(stack) == before.version)
    assert published(stack) == before.models
    assert trainings(stack) == before.runs
    labels = [{"prediction_id": it, "label": "setosa"} for it in before.asked]
    assert ask(stack, "/feedback", json=labels).json() == {"recorded": 20}


@pytest.mark.usefixtures("before")
def test_with_a_key_only_who_has_it_is_answered(stack, tab):
    assert requests.post(f"{stack.backend}/predict", json={}).status_code == 401
    assert requests.get(f"{stack.backend}/metrics").status_code == 401
    tab.goto(stack.frontend)
    fill(tab, SETOSA)
    press(tab, "Predict")
    expect_answer(tab, "setosa")


@pytest.mark.usefixtures("before")
def test_a_file_dropped_in_is_served_as_unsigned_unless_signatures_are_required(stack):
    signed, unsigned = live_version(stack), "2100_01_01_T00_00_00"
    dropped = stack.clone / f"models/model_{unsigned}.pkl"
    shutil.copy(stack.clone / f"models/model_{signed}.pkl", dropped)
    wait_until(lambda: live_version(stack) == unsigned)
    assert ask(stack, "/models/live").json()["signature"] == "unsigned"

    stack.variables["MODEL_TRUST"] = "signed"
    compose(stack, "up", "--detach", "--wait", "backend")

    wait_until(lambda: live_version(stack) == signed)
    states = {it["version"]: it for it in ask(stack, "/models").json()["models"]}
    assert states[signed]["signature"] == "signed"
    assert "It is not signed" in states[unsigned]["reason"]
    dropped.unlink()


def test_make_keys_makes_no_second_pair(stack):
    before = [it.read_bytes() for it in sorted(stack.clone.glob("keys/*/*.pem"))]

    again = run(stack, "make", "keys")

    assert "are there already" in again.stderr
    assert [it.read_bytes() for it in sorted(stack.clone.glob("keys/*/*.pem"))] == before


def grow_garden(seed):
    """Irises whose petals are measured otherwise, no two alike, with their names."""
    iris = load_iris()
    moved = np.random.default_rng(seed).normal([0, 0, 2.5, 1], 0.01, iris.data.shape)
    return (iris.data + moved).round(4), iris.target_names[iris.target]


def tell(stack, rows, names):
    """Predict each row, then say what each is."""
    labels = []
    for row, name in zip(rows.tolist(), names.tolist(), strict=True):
        answer = ask(stack, "/predict", json=dict(zip(INSTANCE, row, strict=True))).json()
        labels.append({"prediction_id": answer["prediction_id"], "label": name})
    assert ask(stack, "/feedback", json=labels).json() == {"recorded": len(rows)}


def accuracy_of(stack, version):
    found = ask(stack, "/monitoring").json()["accuracy"]["versions"]
    return next((it["accuracy"] for it in found if it["model_version"] == version), None)


def shadow_of(stack):
    """The counts of the second best model, once it has answered and been judged."""
    shadow = ask(stack, "/monitoring").json()["shadow"]
    return shadow and shadow["answered"] and shadow["count"] and shadow


@pytest.mark.usefixtures("before")
def test_labels_train_a_better_model_whose_second_best_answers_too(stack):
    before = live_version(stack)
    tell(stack, *grow_garden(seed=0))
    wait_until(lambda: accuracy_of(stack, before) is not None)
    command = "docker exec mlflow python3 /app/metrics.py --with-feedback"

    done = follow(stack, command)

    assert done.returncode == 0, done.stderr
    assert "150 rows added" in done.stdout
    wait_until(lambda: live_version(stack) > before)
    after = live_version(stack)
    assert ask(stack, "/models/live").json()["dataset"]["rows"] == 300

    def are_both_judged():
        tell(stack, *grow_garden(seed=1))
        return accuracy_of(stack, after) and shadow_of(stack)

    wait_until(are_both_judged)
    assert accuracy_of(stack, before) < 0.7
    assert accuracy_of(stack, after) > 0.9
    assert shadow_of(stack)["model_version"] != after
    assert 0 <= shadow_of(stack)["agreement"] <= 1


def test_another_table_takes_iris_place(stack):
    table = make_penguins(stack.clone / "data")
    os.chown(table, owner_of(stack), -1)
    command = find_command("docs/training.md", "docker exec")
    before = live_version(stack)

    done = follow(stack, f"{command} {BRIEF}")

    assert done.returncode == 0, done.stderr
    assert "Column id is left out" in done.stdout
    wait_until(lambda: live_version(stack) > before)


@pytest.mark.usefixtures("before")
def test_prometheus_scrapes_with_the_first_key_though_grafana_cannot_be_had(stack):
    dockerfile = stack.clone / "deploy/grafana/Dockerfile"
    absent = re.sub("(?m)^FROM .*", "FROM localhost:9/grafana", dockerfile.read_text())
    dockerfile.write_text(absent)
    port = stack.variables["PROMETHEUS_PORT"] = find_free_port()

    compose(stack, "--profile", "monitoring", "up", "--build", "--detach", "--wait")
    both = run(stack, "make", "monitoring")

    assert both.returncode == 0, both.stderr
    assert "Grafana is missing" in both.stderr
    question = {"query": 'model_info{job="backend"} and on (instance) up == 1'}
    asked = f"http://localhost:{port}/api/v1/query"
    wait_until(lambda: requests.get(asked, question).json()["data"]["result"])
    [live] = requests.get(asked, question).json()["data"]["result"]
    assert live["metric"]["version"] == live_version(stack)
    assert inspect(stack, "prometheus")["HostConfig"]["ReadonlyRootfs"]


@pytest.fixture(scope="module")
def workers(stack):
    """The containers of the cluster's two workers, once its scheduler has both."""
    stack.variables["COMPOSE_PROFILES"] = "cluster"
    compose(stack, "up", "--detach", "--wait", "scheduler", "worker")
    logs = ["logs", "--no-log-prefix", "scheduler"]
    wait_until(lambda: compose(stack, *logs).count("Register worker") == 2)
    return compose(stack, "ps", "--quiet", "worker").split()


def test_a_training_on_the_cluster_outlives_a_worker_and_is_that_of_one_machine(stack, workers):
    before = live_version(stack)
    command = find_command("docs/scaling.md", "docker exec -e DASK_SCHEDULER_ADDRESS")

    said = ""
    with start(stack, f"{command} --iris") as training:
        while "GaussianNB done" not in said:
            said += (line := training.stdout.readline())
            assert line, said
        run(stack, "docker", "exec", workers[0], "sh", "-c", "kill -9 -1")
        assert training.poll() is None
        said += training.stdout.read()

    assert training.returncode == 0, said
    restarts = run(stack, "docker", "inspect", "--format", "{{.RestartCount}}", workers[0])
    assert restarts.stdout == "1\n"
    assert [line for line in said.splitlines() if "The cluster" in line] == [
        "The cluster has 2 workers with 2 cores in all."
    ]
    wait_until(lambda: live_version(stack) > before)
    alone, *_, together = read_manifests(stack)
    for key in ("name", "estimator", "params", "metrics"):
        assert together[key] == alone[key], key


@pytest.mark.usefixtures("workers")
def test_only_the_trainer_reaches_the_cluster(stack):
    host = inspect(stack, "scheduler")["HostConfig"]
    connect = "import socket; socket.create_connection(('scheduler', 8786), 5)"
    asked = ["docker", "compose", "exec", "-T", "backend", "python3", "-c", connect]

    assert host["ReadonlyRootfs"]
    assert not host["PortBindings"]
    assert list_networks(stack, "scheduler") == {"cluster"}
    assert "gaierror" in run(stack, *asked).stderr


def write_tables(stack, files, rows):
    """Write the live model's first example over and over, where the container finds it."""
    inputs = read_manifests(stack)[-1]["examples"][0]["inputs"]
    line = ",".join("" if it is None else str(it) for it in inputs.values())
    folder = stack.clone / "data/many"
    folder.mkdir()
    for number in range(files):
        (folder / f"{number:02}.csv").write_text(",".join(inputs) + "\n" + f"{line}\n" * rows)


def test_files_are_scored_by_one_container_as_by_several_that_share_them(stack):
    write_tables(stack, files=16, rows=40_000)
    score = "docker compose run --rm -T score data/many data/{}"

    elsewhere = follow(stack, score.format("alone.csv"))
    alone = follow(stack, score.format("scored/alone.csv"))
    one, other = (score.format(f"scored/shared.csv --part {part}/2") for part in (1, 2))
    with start(stack, one) as first, start(stack, other) as second:
        said = [first.stdout.read(), second.stdout.read()]

    codes = [command.returncode for command in (alone, first, second)]
    assert codes == [0, 0, 0], [alone.stderr, *said]
    assert "cannot be written: Read-only file system. In Docker, write to" in elsewhere.stderr
    assert sum("Joined: 640,000 of 640,000 rows" in output for output in said) == 1
    outputs = [stack.clone / f"data/scored/{name}.csv" for name in ("alone", "shared")]
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert outputs[1].read_bytes().count(b"\n") == 640_001
    assert {path.stat().st_uid for path in outputs} == {owner_of(stack)}


@pytest.fixture(scope="module")
def on_postgresql(stack):
    """The stack with deploy/postgresql in place of what it had, and one training in it."""
    compose(stack, "--profile", "*", "down", "--volumes")
    for path in stack.clone.glob("mlflow/mlruns/mlflow.db*"):
        path.unlink()
    passwords = [f"{name}'s p@ss:w/rd $HOME {os.urandom(8).hex()}" for name in ("one", "other")]
    variables = {
        **stack.own,
        "COMPOSE_FILE": "docker-compose.yaml:deploy/postgresql/compose.yaml",
        "POSTGRES_MLFLOW_PASSWORD": passwords[0],
        "POSTGRES_JOURNAL_PASSWORD": passwords[1],
    }
    stack = SimpleNamespace(**vars(stack) | {"variables": variables, "passwords": passwords})
    try:
        compose(stack, "up", "--detach", "--build", "--wait", "backend", "mlflow", "postgresql")
        trained = run(stack, "make", "train", f"ARGS=--iris {BRIEF}")
        assert trained.returncode == 0, trained.stderr
        yield stack
    finally:
        compose(stack, "down", "--volumes")


def ask_database(stack, name, query):
    """The first value of its answer, as text."""
    command = ["exec", "-T", "postgresql", "psql", "--tuples-only", "--no-align", name, "-c", query]
    return compose(stack, *command).strip()


def count_written(stack):
    return int(ask_database(stack, "journal", "SELECT count(*) FROM predictions"))


def test_on_postgresql_runs_and_journal_are_in_databases_of_their_own(on_postgresql):
    stack = on_postgresql
    before = count_written(stack)

    predict(stack)

    wait_until(lambda: count_written(stack) == before + 1)
    assert len(trainings(stack)) == 1
    assert int(ask_database(stack, "mlflow", "SELECT count(*) FROM runs")) > 1
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


def test_postgresql_may_be_away_when_the_services_start(on_postgresql):
    stack = on_postgresql
    runs = trainings(stack)
    compose(stack, "stop", "postgresql")

    compose(stack, "restart", "--no-deps", "mlflow", "backend")
    wait_until(lambda: predict(stack).get("prediction_class") == "setosa")
    identifier = predict(stack)["prediction_id"]
    compose(stack, "start", "postgresql")

    wait_for_health(stack, "postgresql")
    wait_until(lambda: is_written(stack, identifier))
    wait_until(lambda: trainings(stack) == runs, seconds=180)


def test_a_killed_postgresql_comes_back_and_nothing_is_lost(on_postgresql):
    stack = on_postgresql
    runs = trainings(stack)

    run(stack, "docker", "exec", container(stack, "postgresql"), "sh", "-c", "kill -9 -1")
    identifier = predict(stack)["prediction_id"]

    wait_for_restart(stack, "postgresql")
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
