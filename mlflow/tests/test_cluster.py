import ctypes
import json
import os
import shutil
import signal
import sys
import time
from contextlib import ExitStack, contextmanager
from functools import partial
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

from running.cluster import close, connect, enlist, hire, run
from training.comparison import Means, Setting, compare

NAMES = ("GaussianNB", "LinearDiscriminantAnalysis", "LogisticRegression")
HERE = os.pathsep.join(map(str, (ROOT / "mlflow", ROOT / "mlflow/tests", ROOT / "tests")))
DASK = str(Path(sys.executable).with_name("dask"))
OPTIONS = ["--host", "127.0.0.1", "--no-dashboard"]
GONE = "its scheduler is gone or does not answer."
EMPTY = "it has no workers any more."
PAUSED = "its workers are paused, short of memory."


class Cluster(ExitStack):
    """A scheduler and workers with one core each, as processes of this machine."""

    def __init__(self, folder, address=None):
        super().__init__()
        self.folder, self.address, self.workers = folder, address, []

    def start_scheduler(self):
        file = self.folder / "scheduler.json"
        command = [DASK, "scheduler", *OPTIONS, "--port", "0", "--scheduler-file", str(file)]
        self.scheduler = self._start(command, HERE)
        # The scheduler makes the file first and fills it then.
        wait_until(lambda: file.exists() and file.read_text().endswith("}"))
        self.address = json.loads(file.read_text())["address"]

    def start_worker(self, path=HERE):
        command = [DASK, "worker", self.address, *OPTIONS, "--nworkers", "1", "--nthreads", "1"]
        self.workers.append(self._start([*command, "--no-nanny"], path))

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
    with Client(scheduler, set_as_default=False) as client:
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
            monkeypatch.setattr(f"running.cluster.SECONDS_{name}", 1)

    return shorten


@pytest.fixture(scope="module")
def search(training):
    """Candidates, a setting of three folds, and what comes of it on this machine."""
    candidates = [find_candidate(name) for name in NAMES]
    setting = Setting(training.dataset, training.setting.folds[:3], 0)
    return SimpleNamespace(
        candidates=candidates, setting=setting, numbers=read(compare(candidates, setting))
    )


def read(outcome):
    """The numbers that a choice is made by."""
    return {
        it.name: [(score.metrics, score.params) for score in it.scores] for it in outcome.results
    }


@contextmanager
def client_of(cluster, workers):
    """Once so many workers have joined."""
    client = connect(cluster.address)
    try:
        client.wait_for_workers(workers, timeout=90)
        yield client
    finally:
        close(client)


def kill(process):
    process.kill()
    process.wait()


def stop_scheduler(cluster, _):
    """As it is on a machine that swaps; it takes what is sent, and answers nothing."""
    cluster.scheduler.send_signal(signal.SIGSTOP)


def kill_scheduler(cluster, _):
    kill(cluster.scheduler)


def kill_worker(cluster, client):
    kill(cluster.workers[0])
    wait_until(lambda: not client.nthreads())


def pause_worker(_, client):
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


def search_through(cluster, search, happens, **means):
    """The numbers of a search on one worker, and how many tasks were reported.

    After the first of them something happens, which is given the cluster and its client.
    """
    done = []

    def report(*task):
        done.append(task)
        if len(done) == 1:
            happens(cluster, client)

    cluster.start_worker()
    with client_of(cluster, 1) as client:
        means = Means(partial(run, client), **means)
        outcome = compare(search.candidates, search.setting, report, means)
    return read(outcome), len(done)


def test_a_cluster_finds_the_same_numbers_to_the_last_digit(cluster, search):
    cluster.start_worker()
    cluster.start_worker()

    with client_of(cluster, 2) as client:
        outcome = compare(search.candidates, search.setting, means=Means(partial(run, client)))

    assert read(outcome) == search.numbers
    assert [it.name for it in outcome.results] == list(NAMES)


def test_a_search_outlives_the_only_worker_that_had_its_data(cluster, search, capsys):
    def replace_worker(cluster, _):
        kill(cluster.workers[0])
        cluster.start_worker()

    found = search_through(cluster, search, replace_worker)

    assert found == (search.numbers, 9)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "loss",
    [(kill_scheduler, GONE), (stop_scheduler, GONE), (kill_worker, EMPTY), (pause_worker, PAUSED)],
)
def test_when_the_cluster_is_lost_this_machine_finishes_what_is_left(
    own_cluster, search, capsys, hurry, loss
):
    happens, reason = loss

    def lose(*it):
        hurry(reason)
        happens(*it)

    deadline = time.monotonic() + 600  # two rounds
    found = search_through(own_cluster, search, lose, deadline=deadline)

    assert found == (search.numbers, 9)
    said = capsys.readouterr().err
    assert said.startswith(f"The cluster is lost: {reason}")
    assert said.count("\n") == 1


@pytest.mark.parametrize("work", [take_seconds_while_paused, take_seconds_and_the_interpreter])
def test_a_worker_that_is_busy_is_waited_for(cluster, capsys, hurry, work):
    cluster.start_worker()
    task = candidate(GaussianNB())

    with client_of(cluster, 1) as client:
        hurry(EMPTY)
        outcomes = list(run(client, work, [task], 4))

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


def test_a_candidate_that_kills_its_workers_is_left_out_alone(cluster, search):
    cluster.start_worker()
    candidates = [candidate(Deadly()), search.candidates[0]]

    with replacing_dead_workers(cluster), client_of(cluster, 1) as client:
        outcome = compare(candidates, search.setting, means=Means(partial(run, client)))

    assert read(outcome) == {NAMES[0]: search.numbers[NAMES[0]]}
    assert "its workers died" in outcome.failures["Deadly"].reason


def never_end(*_):
    time.sleep(3600)  # this is the work


def test_a_deadline_ends_a_search_on_a_cluster(cluster):
    cluster.start_worker()

    with client_of(cluster, 1) as client:
        outcomes = list(run(client, never_end, [candidate(GaussianNB())], 0, time.monotonic() + 1))

    kill(cluster.workers[0])  # it works on, and nobody waits for it
    assert outcomes == []


def test_an_address_without_a_scheduler_says_so_and_leaves_the_work_here(capsys, monkeypatch):
    monkeypatch.setattr("running.cluster.SECONDS_TO_ANSWER", 0.5)
    address = f"tcp://127.0.0.1:{find_free_port()}"

    with hire(address) as crew:
        assert crew.workers == 0

    said = capsys.readouterr().err
    assert said.startswith(f"The cluster at {address} is not used: no scheduler answers there.")
    assert said.count("\n") == 1


def test_a_scheduler_without_workers_is_not_used(cluster, capsys, monkeypatch):
    monkeypatch.setattr("running.cluster.SECONDS_TO_JOIN", 0.5)

    assert connect(cluster.address) is None
    assert "it has no workers" in capsys.readouterr().err


def test_a_scheduler_that_hangs_while_workers_are_awaited_is_not_used(
    own_cluster, capsys, monkeypatch
):
    monkeypatch.setattr("running.cluster.SECONDS_OF_SILENCE", 12)  # Dask takes no less
    answers = []
    connecting = Thread(target=lambda: answers.append(connect(own_cluster.address)), daemon=True)

    connecting.start()
    wait_until(lambda: "Receive client connection" in (own_cluster.folder / "log").read_text())
    Client(own_cluster.address, set_as_default=False).close()  # the other has its answer by then
    stop_scheduler(own_cluster, None)
    connecting.join(30)

    assert answers == [None]
    assert "it has no workers that answer" in capsys.readouterr().err


@pytest.mark.parametrize(("happens", "reason"), [(kill_worker, EMPTY), (stop_scheduler, GONE)])
def test_a_cluster_that_is_lost_before_it_is_hired_leaves_the_work_here(
    own_cluster, capsys, hurry, happens, reason
):
    own_cluster.start_worker()

    with client_of(own_cluster, 1) as client:
        hurry(reason)
        happens(own_cluster, client)
        crew = enlist(client)

    assert (crew.workers, crew.cores) == (0, joblib.cpu_count())
    assert capsys.readouterr().err.startswith(f"The cluster is lost: {reason}")


def lack_code(folder):
    return folder


def change_code(folder):
    for path in (ROOT / "mlflow").glob("*.py"):
        shutil.copy(path, folder)
    (folder / "evaluation.py").write_text("# Another one.\n")
    return folder


def change_version(folder):
    described = folder / "scikit_learn-0.1.dist-info/METADATA"
    described.parent.mkdir()
    described.write_text("Metadata-Version: 2.1\nName: scikit-learn\nVersion: 0.1\n")
    return f"{folder}{os.pathsep}{HERE}"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lack_code, "its workers lack the trainer's code (ModuleNotFoundError"),
        (change_code, "its workers have other code than the trainer"),
        (change_version, "its workers have scikit-learn 0.1, and the trainer"),
    ],
)
def test_workers_that_are_not_the_trainers_are_refused(cluster, tmp_path, capsys, change, reason):
    (tmp_path / "other").mkdir()
    cluster.start_worker(change(tmp_path / "other"))

    assert connect(cluster.address) is None
    assert reason in capsys.readouterr().err


def test_the_command_compares_on_the_cluster_and_says_so(cluster, tmp_path):
    cluster.start_worker()

    done = train(tmp_path, tmp_path, *BRIEF, DASK_SCHEDULER_ADDRESS=cluster.address)

    assert done.returncode == 0, done.stderr
    assert "The cluster has 1 worker with 1 core in all." in done.stdout
    assert "Published" in done.stdout
