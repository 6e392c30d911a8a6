"""Measures other model servers beside the backend: one core, one worker, one row a request.

    make bench-peers

Each gets a virtual environment of its own in .peers, the same two models and the settings its docs
advise, without access logs; where it can answer waiting requests with one call, both ways. All take
turns with the backend and a bare ASGI app that returns a constant. Printed: medians of the rounds.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import load
import requests
from models import ESTIMATORS, NAMES, dump, fit, publish
from processes import find_free_port, running, wait_until
from sklearn.base import clone
from sklearn.datasets import load_iris

ROUNDS = 3
SECONDS = 3
CONNECTIONS = 32
SAMPLES = 20
BACKEND, BARE = "the backend", "bare ASGI app"
FOLDER = Path(__file__).resolve().parent / "peers"
ENVIRONMENTS = FOLDER.parents[1] / ".peers"
# Nobody is told that this ran; BentoML takes no other word for it than "true".
SETTINGS = {
    "BENTOML_DO_NOT_TRACK": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLSERVER_DEBUG": "false",
    "MLSERVER_HOST": "127.0.0.1",
    "MLSERVER_PARALLEL_WORKERS": "0",  # the model in the server's process, not in one beside it
    "PYTHONWARNINGS": "ignore",
    "UVICORN_ACCESS_LOG": "false",
}

Instance = dict[str, float]


@dataclass(frozen=True)
class Peer:
    """How one is installed, started in a folder with a model.joblib, asked and understood."""

    requirements: str
    command: str  # {bin}: its environment, {peers}: their folder, {port}: where it should listen
    path: str
    ask: Callable[[Instance], Any]
    understand: Callable[[Any], str]
    before: str = "{bin}/python --version"
    names: bool = False  # whether it gives the model a DataFrame

    @property
    def environment(self) -> Path:
        return ENVIRONMENTS / self.requirements.partition("==")[0]


@dataclass(frozen=True)
class PeerServer:
    url: str
    pid: int
    ask: Callable[[Instance], Any]
    understand: Callable[[Any], str]


def ask_row(instance: Instance) -> list[list[float]]:
    return [list(instance.values())]


def ask_mlserver(instance: Instance) -> dict[str, Any]:
    rows = {"name": "X", "shape": [1, 4], "datatype": "FP64", "data": list(instance.values())}
    return {"inputs": [rows], "outputs": [{"name": "predict"}, {"name": "predict_proba"}]}


def find_likeliest(probabilities: dict[str, float]) -> str:
    return max(probabilities, key=probabilities.__getitem__)


def describe_mlserver(rows: int) -> Peer:
    return Peer(
        "mlserver==1.7.1 mlserver-sklearn==1.7.1",
        "{bin}/mlserver start .",
        "/v2/models/iris/infer",
        ask_mlserver,
        lambda answer: answer["outputs"][0]["data"][0],
        before=f"{{bin}}/python {{peers}}/mlserver_settings.py {rows}",
    )


def describe_litserve(rows: int) -> Peer:
    return Peer(
        "litserve==0.2.19",
        f"{{bin}}/python {{peers}}/litserve_server.py {{port}} {rows}",
        "/predict",
        dict,
        find_likeliest,
    )


def describe_bentoml(path: str, ask: Callable, understand: Callable) -> Peer:
    command = "{bin}/bentoml serve bentoml_service:Iris --host 127.0.0.1 --port {port}"
    return Peer("bentoml==1.4.39", command, path, ask, understand)


PEERS = {
    "MLServer": describe_mlserver(0),
    "MLServer, batching": describe_mlserver(CONNECTIONS),
    "LitServe": describe_litserve(1),
    "LitServe, batching": describe_litserve(CONNECTIONS),
    "BentoML": describe_bentoml("/predict", dict, find_likeliest),
    "BentoML, batching": describe_bentoml(
        "/predict_batch",
        lambda instance: {"X": ask_row(instance)},
        lambda answer: find_likeliest(answer[0]),
    ),
    "mlflow models serve": Peer(
        f"mlflow=={version('mlflow')}",
        "{bin}/mlflow models serve --model-uri model --env-manager local --workers 1 --port {port}",
        "/invocations",
        lambda instance: {"dataframe_split": {"columns": NAMES, "data": ask_row(instance)}},
        lambda answer: answer["predictions"][0],
        before="{bin}/python {peers}/mlflow_model.py",
        names=True,
    ),
    "the usual tutorial": Peer(
        f"fastapi=={version('fastapi')} uvicorn[standard]=={version('uvicorn')}"
        f" pandas=={version('pandas')}",
        "{bin}/uvicorn tutorial:app --app-dir {peers} --port {port}",
        "/predict",
        dict,
        lambda answer: answer["prediction"],
        names=True,
    ),
}


def install(peer: Peer) -> None:
    """Unless a run before did; raises CalledProcessError with what pip said."""
    # The pickles have to load there.
    wanted = f"{peer.requirements} scikit-learn=={version('scikit-learn')}"
    done = peer.environment / "installed"
    if done.exists() and done.read_text() == wanted:
        return
    pip = [peer.environment / "bin/python", "-m", "pip", "install", "--quiet", *wanted.split()]
    for command in ([sys.executable, "-m", "venv", "--clear", peer.environment], pip):
        subprocess.run(command, check=True, capture_output=True, text=True)
    done.write_text(wanted)


def install_all() -> dict[str, Peer]:
    """Those that could be; of the others it is said why not."""
    installed = {}
    for name, peer in PEERS.items():
        try:
            install(peer)
        except subprocess.CalledProcessError as error:
            said = [line for line in error.stderr.splitlines() if line.startswith("ERROR")]
            print(f"\n{name} could not be installed: {' '.join(said) or error.stderr}")
        else:
            installed[name] = peer
    return installed


def fit_on_names(name: str) -> Any:
    """As `models.fit`, for servers that predict from a DataFrame."""
    iris = load_iris(as_frame=True)
    X = iris.data.set_axis(NAMES, axis="columns")
    return clone(ESTIMATORS[name]).fit(X, iris.target_names[iris.target])


def choose_settings(peer: Peer, port: int) -> dict[str, str]:
    return SETTINGS | {
        "PATH": f"{peer.environment}/bin:{os.environ['PATH']}",
        "PYTHONPATH": str(FOLDER),
        "BENTOML_HOME": f"{peer.environment}/home",
        "MLSERVER_HTTP_PORT": str(port),
        "MLSERVER_GRPC_PORT": str(find_free_port()),
        "MLSERVER_METRICS_PORT": str(find_free_port()),
    }


@contextmanager
def peer_serving(name: str, model: str) -> Iterator[PeerServer]:
    """On the server's core, in a folder of its own."""
    peer, port = PEERS[name], find_free_port()
    places = {"bin": peer.environment / "bin", "peers": FOLDER, "port": port}
    before, command = (each.format(**places).split() for each in (peer.before, peer.command))
    settings = choose_settings(peer, port)
    with tempfile.TemporaryDirectory() as folder, name_log(name).open("w") as log:
        joblib.dump((fit_on_names if peer.names else fit)(model), f"{folder}/model.joblib")
        variables, output = os.environ | settings, {"stdout": log, "stderr": log}
        subprocess.run(before, cwd=folder, env=variables, check=True, **output)
        pinned = ["taskset", "-c", load.SERVER_CORE, *command]
        shell = ["sh", "-c", 'exec "$@" 2>&1', "sh"]
        with running([*shell, *pinned], folder, log, **settings) as process:
            url = f"http://127.0.0.1:{port}{peer.path}"
            yield PeerServer(url, process.pid, peer.ask, peer.understand)


def name_log(name: str) -> Path:
    return ENVIRONMENTS / f"{name}.log"


@contextmanager
def own_serving(model: str) -> Iterator[dict[str, PeerServer]]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        publish(dump(fit(model)), directory)
        started = {
            BACKEND: stack.enter_context(load.serving_backend(directory)),
            BARE: stack.enter_context(load.serving(load.BARE, "bench/peers", "/")),
        }
        yield {
            name: PeerServer(f"{url}/predict", pid, dict, lambda answer: answer["prediction_class"])
            for name, (url, pid) in started.items()
        }


def check(name: str, server: PeerServer, model: str) -> None:
    """Stops everything unless the server gives the classes that the model gives."""
    instances = load.draw_instances(SAMPLES)
    expected = fit(model).predict([list(instance.values()) for instance in instances]).tolist()
    try:
        body = server.ask(instances[0])
        wait_until(lambda: requests.post(server.url, json=body, timeout=5).ok, 90)
    except AssertionError:
        sys.exit(f"{name} does not answer; see {name_log(name)}")
    for instance, right in zip(instances, expected, strict=True):
        answer = requests.post(server.url, json=server.ask(instance), timeout=5).json()
        if (said := server.understand(answer)) != right:
            sys.exit(f"{name} takes {instance} for {said}, the model for {right}")


def spends_nothing(pids: list[int]) -> bool:
    before = load.read_cpu(pids)
    time.sleep(0.2)
    return load.sum_cpu(since=before) < 0.05


def signal_all(server: PeerServer, which: signal.Signals) -> None:
    for pid in load.list_pids(server.pid):
        os.kill(pid, which)


def measure(server: PeerServer) -> load.Load:
    """It stands still before and after, as some poll, and finish what nobody waits for any more."""
    signal_all(server, signal.SIGCONT)
    pids = load.list_pids(server.pid)
    bodies = [server.ask(instance) for instance in load.draw_instances()]
    measured = load.run_wrk(server.url, bodies, CONNECTIONS, SECONDS, pids, load.LOAD_CORE)
    wait_until(lambda: spends_nothing(pids))
    signal_all(server, signal.SIGSTOP)
    return measured


def report(model: str, loads: dict[str, list[load.Load]]) -> None:
    print(f"\n**{model}, {CONNECTIONS} connections**\n")
    print("| server | requests/s | × slower than the backend | CPU µs | p50 ms | p99 ms |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, rounds in loads.items():
        slower = statistics.median(load.compare_rates(loads[BACKEND], rounds))
        middle = load.summarize(rounds)
        print(
            f"| {name} | {middle.rate:,.0f} | {slower:.2f} | {middle.cpu:,.0f} | {middle.p50:.1f} |"
            f" {middle.p99:.1f} |{load.say_failed(middle)}",
            flush=True,
        )


def main() -> None:
    installed = install_all()
    for model in ESTIMATORS:
        with ExitStack() as stack:
            servers = stack.enter_context(own_serving(model))
            for name in installed:
                servers[name] = stack.enter_context(peer_serving(name, model))
                check(name, servers[name], model)
            check(BACKEND, servers[BACKEND], model)
            for server in servers.values():
                signal_all(server, signal.SIGSTOP)
                stack.callback(signal_all, server, signal.SIGCONT)
            report(model, load.take_turns(servers, measure, ROUNDS))
    print()
    for requirements in dict.fromkeys(peer.requirements for peer in installed.values()):
        print(f"- {requirements}")


if __name__ == "__main__":
    load.require_wrk()
    main()
