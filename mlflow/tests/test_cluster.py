import ctypes
import json
import os
import re
import shutil
import signal
import sys
import time
from contextlib import ExitStack, contextmanager
from math import inf
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace

import joblib
import pytest
from conftest import BRIEF, find_candidate
from distributed import Client, get_worker
from processes import ROOT, find_free_port, running, train, wait_until
from sklearn.naive_bayes import GaussianNB
from test_comparison import Deadly, candidate

from parallel.cluster import hire
from training.comparison import Means, Setting, compare

NAMES = ("GaussianNB", "LinearDiscriminantAnalysis", "LogisticRegression")
HERE = os.pathsep.join(map(str, (ROOT / "mlflow", ROOT / "mlflow/tests", ROOT / "tests")))
DASK = str(Path(sys.executable).with_name("dask"))
OPTIONS = ["--host", "127.0.0.1", "--no-dashboard"]
GONE = "its scheduler is gone or does not answer."
IDLE = "no worker answers, or all are paused, short of memory."


class Cluster(ExitStack):
    """A scheduler and workers with one core each, as processes of this machine."""

    def __init__(self, folder, address=None):
        super().__init__()
        self.folder, self.address, self.workers = folder, address, []

    def start_scheduler(self, path=HERE):
        file = self.folder / "scheduler.json"
        command = [DASK, "scheduler", *OPTIONS, "--port", "0", "--scheduler-file", str(file)]
        self.scheduler = self._start(command, path)
        # The scheduler makes the file first and fills it then.
        wait_until(lambda: file.exists() and file.read_text().endswith("}"))
        self.address = json.loads(file.read_text())["address"]

    def start_worker(self, path=HERE):
        command = [DASK, "worker", self.address, *OPTIONS, "--nworkers", "1", "--nthreads", "1"]
        self.workers.append(self._start([*command, "--no-nanny"], path))

    def ask(self):
        return Client(self.address, set_as_default=False)

    def _start(self, command, path):
        output = self.enter_context((self.folder / "log").open("a"))
        settings = {"PYTHONPATH": path, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": 1}
        settings["DASK_TEMPORARY_DIRECTORY"] = self.folder
        return self.enter_context(running(command, "mlflow", output, **settings))


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """One that no test harms."""
    with Cluster(tmp_path_factory.mktemp("scheduler")) as cluster:
        cluster.start_scheduler()
        yield cluster.address


@pytest.fixture
def cluster(scheduler, tmp_path):
    with Cluster(tmp_path, scheduler) as cluster:
        yield cluster
    with cluster.ask() as client:
        wait_until(lambda: not client.nthreads())


@pytest.fixture
def own_cluster(tmp_path):
    """Its scheduler may be harmed."""
    with Cluster(tmp_path) as cluster:
        cluster.start_scheduler()
        yield cluster
        cluster.scheduler.send_signal(signal.SIGCONT)


@pytest.fixture
def hurry(monkeypatch):
    """Leaves little time from now on to what a cluster may lack; a busy machine has the rest."""

    def shorten(reason):
        hangs = ("OF_SILENCE", "TO_ANSWER")  # Dask takes no less than 12 seconds to connect
        for name in hangs if reason == GONE else ("WITHOUT_WORKERS", "BETWEEN_LOOKS"):
            monkeypatch.setattr(f"parallel.cluster.SECONDS_{name}", 1)

    return shorten


@pytest.fixture(scope="module")
def search(training):
    """Candidates, a setting of three folds, and what comes of it on this machine."""
    candidates = [find_candidate(name) for name in NAMES]
    setting = Setting(training.dataset, training.setting.folds[:3], 0)
    return SimpleNamespace(
        candidates=candidates, setting=setting, numbers=read_numbers(compare(candidates, setting))
    )


def read_numbers(outcome):
    """The numbers that a choice is made by."""
    return {
        result.name: [(score.metrics, score.params) for score in result.scores]
        for result in outcome.results
    }


@contextmanager
def hire_from(cluster, workers=1):
    """Once so many workers have joined."""
    for _ in range(workers):
        cluster.start_worker()
    with cluster.ask() as client:
        client.wait_for_workers(workers, timeout=90)
    with hire(cluster.address) as crew:
        assert crew.workers == workers
        yield crew


def kill(process):
    process.kill()
    process.wait()


def stop_scheduler(cluster):
    """As it is on a machine that swaps; it takes what is sent, and answers nothing."""
    cluster.scheduler.send_signal(signal.SIGSTOP)


def kill_scheduler(cluster):
    kill(cluster.scheduler)


def kill_worker(cluster):
    kill(cluster.workers[0])


def pause_worker(cluster):
    with cluster.ask() as client:
        client.run(run_short_of_memory)


def run_short_of_memory(dask_worker):
    """Whatever it has is too much now, and Dask pauses it."""
    dask_worker.memory_manager.memory_pause_fraction = 1e-6


def take_seconds_while_paused(seconds, _):
    run_short_of_memory(get_worker())
    time.sleep(seconds)  # this is the work
    return "done"


def take_seconds_and_the_interpreter(seconds, _):
    """As compiled code does that never lets go of it: the worker can say nothing meanwhile."""
    ctypes.PyDLL(None).sleep(seconds)
    return "done"


def search_through(cluster, search, happens, deadline=inf):
    """The numbers of a search on one worker, and how many tasks were reported.

    After the first of them something happens to the cluster.
    """
    done = []

    def report(*task):
        done.append(task)
        if len(done) == 1:
            happens(cluster)

    with hire_from(cluster) as crew:
        outcome = compare(search.candidates, search.setting, report, Means(crew.run, deadline))
    return read_numbers(outcome), len(done)


def test_a_cluster_finds_the_same_numbers_to_the_last_digit(cluster, search):
    with hire_from(cluster, workers=2) as crew:
        outcome = compare(search.candidates, search.setting, means=Means(crew.run))

    assert read_numbers(outcome) == search.numbers
    assert [result.name for result in outcome.results] == list(NAMES)


def test_a_search_outlives_the_only_worker_that_had_its_data(cluster, search, capsys):
    def replace_worker(cluster):
        kill_worker(cluster)
        cluster.start_worker()

    found = search_through(cluster, search, replace_worker)

    assert found == (search.numbers, 9)
    assert capsys.readouterr().err == ""


def test_a_worker_that_joins_later_with_other_code_computes_nothing(
    cluster, search, tmp_path, capsys
):
    def replace_worker(cluster):
        kill_worker(cluster)
        cluster.start_worker(change_code(tmp_path / "other"))

    found = search_through(cluster, search, replace_worker)

    assert found == (search.numbers, 9)
    said = capsys.readouterr().err
    assert said.startswith("The cluster is lost: it has code ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "loss",
    [(kill_scheduler, GONE), (stop_scheduler, GONE), (kill_worker, IDLE), (pause_worker, IDLE)],
)
def test_when_the_cluster_is_lost_this_machine_finishes_what_is_left(
    own_cluster, search, capsys, hurry, loss
):
    happens, reason = loss

    def lose(cluster):
        hurry(reason)
        happens(cluster)

    deadline = time.monotonic() + 600  # two rounds
    found = search_through(own_cluster, search, lose, deadline)

    assert found == (search.numbers, 9)
    said = capsys.readouterr().err
    assert said.startswith(f"The cluster is lost: {reason}")
    assert said.count("\n") == 1


@pytest.mark.parametrize("work", [take_seconds_while_paused, take_seconds_and_the_interpreter])
def test_a_worker_that_is_busy_is_waited_for(cluster, capsys, hurry, work):
    task = candidate(GaussianNB())

    with hire_from(cluster) as crew:
        hurry(IDLE)
        outcomes = list(crew.run(work, [task], 4))

    assert outcomes == [(task, "done")]
    assert capsys.readouterr().err == ""


@contextmanager
def replacing_dead_workers(cluster):
    """As Dask's nanny does, which takes seconds for each."""
    done = Event()

    def watch():
        while not done.wait(0.05):
            if cluster.workers[-1].poll() is not None:
                cluster.start_worker()

    thread = Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_candidate_that_kills_its_workers_is_left_out_alone(cluster, search, capsys):
    candidates = [candidate(Deadly()), search.candidates[0]]

    with hire_from(cluster) as crew, replacing_dead_workers(cluster):
        outcome = compare(candidates, search.setting, means=Means(crew.run))

    assert read_numbers(outcome) == {NAMES[0]: search.numbers[NAMES[0]]}
    assert "its process died" in outcome.failures["Deadly"].reason  # on this machine at last
    said = capsys.readouterr().err
    assert "all those workers died" in said
    assert said.count("\n") == 1


def never_end(*_):
    time.sleep(3600)  # this is the work


def test_a_deadline_ends_a_search_on_a_cluster(cluster):
    with hire_from(cluster) as crew:
        outcomes = list(crew.run(never_end, [candidate(GaussianNB())], 0, time.monotonic() + 1))

    kill_worker(cluster)  # it works on, and nobody waits for it
    assert outcomes == []


def test_an_address_without_a_scheduler_says_so_and_leaves_the_work_here(capsys, monkeypatch):
    monkeypatch.setattr("parallel.cluster.SECONDS_TO_ANSWER", 0.5)
    address = f"tcp://127.0.0.1:{find_free_port()}"

    with hire(address) as crew:
        assert (crew.workers, crew.cores) == (0, joblib.cpu_count())

    said = capsys.readouterr().err
    assert said.startswith(f"The cluster at {address} is not used: Timed out trying to connect")
    assert "Check DASK_SCHEDULER_ADDRESS" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_a_scheduler_without_workers_that_can_work_is_not_used(
    cluster, capsys, monkeypatch, workers
):
    monkeypatch.setattr("parallel.cluster.SECONDS_TO_JOIN", 0.5)
    if workers:
        cluster.start_worker()
        with cluster.ask() as client:
            client.wait_for_workers(1, timeout=90)
            client.run(run_short_of_memory)
            wait_until(lambda: not is_any_running(client))

    with hire(cluster.address) as crew:
        assert crew.workers == 0
    assert "is not used: Only 0/1 workers arrived" in capsys.readouterr().err


def is_any_running(client):
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return any(worker["status"] == "running" for worker in workers)


def test_a_scheduler_that_hangs_while_workers_are_awaited_is_not_used(
    own_cluster, capsys, monkeypatch
):
    monkeypatch.setattr("parallel.cluster.SECONDS_OF_SILENCE", 3)
    crews = []

    def connect():
        with hire(own_cluster.address) as crew:
            crews.append(crew)

    connecting = Thread(target=connect, daemon=True)
    connecting.start()
    wait_until(lambda: "Receive client connection" in (own_cluster.folder / "log").read_text())
    own_cluster.ask().close()  # the other has its answer by then
    stop_scheduler(own_cluster)
    connecting.join(30)

    assert [crew.workers for crew in crews] == [0]
    said = "is not used: (timed out after 3 s|its scheduler does not answer)."
    assert re.search(said, capsys.readouterr().err)


def lack_code(folder):
    return folder


def change_code(folder):
    others = shutil.ignore_patterns("tests", "mlruns")
    shutil.copytree(ROOT / "mlflow", folder, ignore=others, dirs_exist_ok=True)
    with (folder / "training/evaluation.py").open("a") as code:
        code.write("# Another one.\n")
    return folder


def change_version(folder):
    described = folder / "scikit_learn-0.1.dist-info/METADATA"
    described.parent.mkdir()
    described.write_text("Metadata-Version: 2.1\nName: scikit-learn\nVersion: 0.1\n")
    return f"{folder}{os.pathsep}{HERE}"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lack_code, "ModuleNotFoundError(\"No module named 'parallel'\")"),
        (change_code, "it has code "),
        (change_version, "it has scikit-learn 0.1, and the trainer "),
    ],
)
def test_workers_that_are_not_the_trainers_are_refused(cluster, tmp_path, capsys, change, reason):
    (tmp_path / "other").mkdir()
    cluster.start_worker(change(tmp_path / "other"))

    with hire(cluster.address) as crew:
        assert crew.workers == 0
    assert f"is not used: {reason}" in capsys.readouterr().err


def test_a_scheduler_without_the_trainers_code_is_refused(tmp_path, capsys):
    with Cluster(tmp_path) as cluster:
        cluster.start_scheduler(tmp_path)
        cluster.start_worker()

        with hire(cluster.address) as crew:
            assert crew.workers == 0
    assert "is not used: No module named 'parallel'" in capsys.readouterr().err


def test_the_command_compares_on_the_cluster_and_says_so(cluster, tmp_path):
    cluster.start_worker()

    done = train(tmp_path, tmp_path, *BRIEF, DASK_SCHEDULER_ADDRESS=cluster.address)

    assert done.returncode == 0, done.stderr
    assert "The cluster has 1 worker with 1 core in all." in done.stdout
    assert "Published" in done.stdout
