"""Attacks by code that runs in a model's process, as one who can write a pickle may have it run.

The allow-list is a first filter and no wall, so most tests take it away: their pickles are
a string of Python.
"""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import handed_pickle
import numpy as np
import pytest
import requests
from conftest import (
    HISTOGRAMS,
    SETOSA,
    VERSION,
    describe,
    drop,
    fit,
    fit_iris,
    journal_in,
    pickled,
    publish_in,
    reason,
    run_app,
    running_app,
    running_server,
    wait_until_live,
)
from open_protocol import describe_tensor
from processes import ROOT, environment, list_processes, wait_until
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

import main
from features.counts import TableCounts
from serving import live
from worker import model_worker
from worker.exchange import Message
from worker.nursery import ENVIRONMENT, Nursery

WORSE, WORST = "2027_01_01_T00_00_00", "2027_01_01_T00_00_01"
MEMORY = 256 * 1024**2

# The process that forks, with a name on the allow-list that runs anything.
NURSERY = """
import sys, socket
from worker import unpickling, __main__ as main
allowed = unpickling.read_allow_list() | {("builtins", "exec")}
unpickling.read_allow_list = lambda: allowed
main.run(socket.socket(fileno=int(sys.argv[1])))
"""

# Runs in the worker: finds its channel, tries each thing, and sends what happened.
TRIES = """
import ctypes, os, socket, sys
from worker.exchange import send
frame = sys._getframe()
while "channel" not in frame.f_locals:
    frame = frame.f_back
channel, said = frame.f_locals["channel"], {}
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *arguments):
    numbers = [ctypes.c_long(it) if isinstance(it, int) else it for it in arguments]
    if getattr(libc, name)(*numbers) == -1:
        raise OSError(ctypes.get_errno(), name)
for name, attack in ATTACKS.items():
    try:
        said[name] = repr(eval(attack))
    except Exception as error:
        said[name] = type(error).__name__
"""

ATTACKS = {
    "write a file": "open('{folder}/new', 'w')",
    "change a file": "os.open('{folder}/model.pkl', os.O_WRONLY)",
    "delete a file": "os.remove('{folder}/model.pkl')",
    "rename a file": "os.rename('{folder}/model.pkl', '{folder}/other')",
    "make a folder": "os.mkdir('{folder}/new')",
    "make a link": "os.symlink('/etc', '{folder}/new')",
    "change rights": "os.chmod('{folder}/model.pkl', 0o777)",
    "read a model": "open('{folder}/model.pkl')",
    "list models": "os.listdir('{folder}')",
    "read a secret in the clone": "open('{clone}/docker-compose.yaml')",
    "read users": "open('/etc/passwd')",
    "read the server's environment": "open('/proc/{server}/environ')",
    "read its own environment": "open('/proc/self/environ')",
    "read the server's memory": "open('/proc/{server}/mem', 'rb')",
    "list the server's descriptors": "os.listdir('/proc/{server}/fd')",
    "see where the server is": "os.readlink('/proc/{server}/cwd')",
    "connect": "socket.create_connection(('127.0.0.1', 80))",
    "send a datagram": "socket.socket(type=socket.SOCK_DGRAM)",
    "a socket of its own machine": "socket.socketpair()",
    "send out of band": "channel.send(b'x', socket.MSG_OOB)",
    "send a descriptor": "socket.send_fds(channel, [b'x'], [0])",
    "duplicate its pipe": "os.dup(channel.fileno())",
    "be told of its pipe by a signal": "call('fcntl', channel.fileno(), 8, {server})",
    "start a program": "os.execv('{python}', ['python'])",
    "start one beside it": "os.posix_spawn('{python}', ['python'], {{}})",
    "fork": "os.fork()",
    "fork by another name": "call('syscall', 435, bytes(88), 88)",
    "leave its group": "os.setsid()",
    "end the server": "os.kill({server}, 9)",
    "end the one that forked it": "os.kill(os.getppid(), 9)",
    "end all": "os.kill(-1, 9)",
    "open the server as a descriptor": "call('syscall', 434, {server}, 0)",
    "trace the server": "call('ptrace', 16, {server}, 0, 0)",
    "read the server's memory directly": "call('process_vm_readv', {server}, 0, 0, 0, 0, 0)",
    "limit the server": "call('prlimit', {server}, 7, bytes(16), 0)",
    "raise its own limit": "__import__('resource').setrlimit(4, (-1, -1))",
    "slow the server down": "os.setpriority(0, {server}, 19)",
    "outlive its parent": "call('prctl', 1, 0, 0, 0, 0)",
    "have a space of its own": "call('unshare', 0x10000000)",
    "memory as a file": "os.memfd_create('x')",
    "many calls as one": "call('syscall', 425, 8, bytes(120))",
    "mount": "call('mount', b'x', b'/', b'tmpfs', 0, 0)",
    "become root": "os.setuid(0)",
}


# Raising a limit is a ValueError in Python; glibc is told that there is no such call as clone3.
DENIED = dict.fromkeys(ATTACKS, "PermissionError") | {
    "raise its own limit": "ValueError",
    "fork by another name": "OSError",
}

LOOKS = """
said["environment"] = list(os.environ)
said["others"] = []
for number in range(4096):
    try:
        found = os.fstat(number)
    except OSError:
        continue
    if number != channel.fileno() and found.st_rdev != os.stat("/dev/null").st_rdev:
        said["others"].append(number)
"""


@pytest.fixture(scope="module")
def nursery():
    """Forks processes whose pickles may run any Python."""
    start = subprocess.Popen

    def start_open(command, **options):
        return start([sys.executable, "-c", NURSERY, command[-1]], **options)

    started = Nursery()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", start_open)
        started.start()
    yield started
    started.close()


class Code:
    """Runs when it is unpickled."""

    def __init__(self, text):
        self._text = text

    def __reduce__(self):
        return exec, (self._text, {})


def make_attacks(folder, server):
    known = {"folder": folder, "server": server, "python": sys.executable, "clone": ROOT}
    return {name: it.format(**known) for name, it in ATTACKS.items()}


def run_in(nursery, code):
    """What a process sends once it has opened the pickle."""
    head = {"file": {}, "manifest": None, "is_tried": False, "takes_unchecked": False}
    packed = np.frombuffer(pickled(Code(code)), np.uint8)
    process = nursery.fork(MEMORY)
    process.receive(10)
    said = process.ask(Message(head, {"pickle": packed}), 10).head
    process.end()
    return said


def test_no_attack_leaves_the_process(nursery, tmp_path):
    (tmp_path / "model.pkl").write_bytes(b"x")
    attacks = make_attacks(tmp_path, os.getpid())

    said = run_in(nursery, f"ATTACKS = {attacks}\n{TRIES}\nsend(channel, said)")

    assert said == DENIED
    assert [it.name for it in tmp_path.iterdir()] == ["model.pkl"]


def test_a_process_has_no_secret_and_no_descriptor_but_its_pipe(nursery, monkeypatch):
    monkeypatch.setenv("API_KEY", "secret")
    code = f"ATTACKS = {{}}\n{TRIES}\n{LOOKS}\nsend(channel, said)"

    said = run_in(nursery, code)

    names = {it for it in said["environment"] if not it.startswith("KMP_")}
    assert names <= {*ENVIRONMENT, "LC_CTYPE"}
    assert said["others"] == []


@pytest.fixture(scope="module")
def app(nursery, tmp_path_factory):
    """An app with a compiled model, small limits, and older versions to be asked by name."""
    folder = tmp_path_factory.mktemp("models")
    publish_in(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main, "find_nursery", lambda: nursery)
        patch.setattr(model_worker, "COMPILE_SECONDS", 1)
        with running_app(folder, **LIMITS) as client:
            client.folder = folder
            yield client


LIMITS = {
    "predict_seconds": 1,
    "batch_seconds": 1,
    "model_load_seconds": 2,
    "worker_memory_bytes": MEMORY,
}
NAMES = (f"2020_01_01_T00_{it:02}_{second:02}" for it in range(60) for second in range(60))

# What a row is answered by, once the model has been tried out.
ARMED = """
import json, os, struct, threading, time
import numpy as np
from features.binning import ModelBins
from features.counts import count_table
from worker import service
from worker.exchange import send
def send_bytes(channel, content):
    channel.sendall(struct.pack("<Q", len(content)) + content)
def answer(model, message, channel):
    {code}
    return ()
service._REPLIES["{asked}"] = answer
"""


def arm(code, asked="answer"):
    """A model that is good until it is asked."""
    estimator = fit_iris(KNeighborsClassifier(3))
    estimator.code = Code(ARMED.format(code=code, asked=asked))
    return estimator


def ask(app, estimator):
    """The answer of such a model; that which is live goes on meanwhile."""
    version = next(NAMES)
    publish_in(app.folder, version, estimator)
    response = app.post(f"/predict?version={version}", json=SETOSA)
    assert app.post("/predict", json=SETOSA).json()["prediction_class"] == "setosa"
    return response


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("while True: pass", "did not load and answer within 2 seconds"),
        ("import os; os.abort()", "It crashed, or ran out of memory"),
    ],
)
def test_what_hangs_or_ends_its_process_as_it_is_opened_is_refused(app, code, expected):
    drop(app.folder, Code(code), version := next(NAMES))

    response = app.post(f"/predict?version={version}", json=SETOSA)

    assert response.status_code == 409
    assert expected in response.json()["detail"]
    assert app.post("/predict", json=SETOSA).json()["prediction_class"] == "setosa"


def row(indices, probabilities):
    arrays = f"{{'indices': np.array({indices}), 'probabilities': np.{probabilities}}}"
    return f"send(channel, {{}}, {arrays})"


def shape(lengths):
    """An array that is said to have so many places."""
    text = f'{{"head":{{}},"arrays":{{"indices":["<i8",{lengths}]}}}}'.encode()
    return f"send_bytes(channel, struct.pack('<Q', {len(text)}) + {text!r})"


def counts(rows, found=0):
    """A piece of a table's answer that is said to be of so many rows, with so many in each bin."""
    empty = "count_table(ModelBins(model.description.features), np.ones((0, 4)), none, None, 3)"
    bins = f"{{name: getattr(empty, name) + {found} for name in {TableCounts._fields[1:4]}}}"
    head = f"{{'rows': {rows}, 'total': 0}}"
    return f"none = np.zeros(0, int); empty = {empty}; send(channel, {head}, {bins})"


def tell(warnings="zeros((4, 3), np.int64)", **head):
    """A piece of a table's answer with what is said of the table."""
    arrays = f"{{'warnings': np.{warnings}, 'piece': np.ones(1, np.uint8)}}"
    return f"send(channel, {{'read_as': '', 'renamed': 0}} | {head}, {arrays})"


def fail(said, kind="InvalidTable"):
    return f"send(channel, {{'failure': dict(kind='{kind}', {said})}})"


TOO_LONG, ENDED = "took too long", "has ended"
TOO_LARGE = "model.answer = lambda X: bytes(2**40); return service._answer(model, message, channel)"


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("threading.Event().wait()", 503, TOO_LONG),
        ("while True: pass", 503, TOO_LONG),
        (TOO_LARGE, 413, "Send fewer rows"),
        ("while True: threading.Thread(target=threading.Event().wait).start()", 503, ENDED),
        ("while True: os.fork()", 503, ENDED),
        ("os.abort()", 503, ENDED),
        ("channel.close()", 503, ENDED),
        ("channel.sendall(struct.pack('<Q', 2**62)); threading.Event().wait()", 503, ENDED),
        ("channel.sendall(struct.pack('<Q', 9)); threading.Event().wait()", 503, TOO_LONG),
        ("while True: channel.sendall(b'\\1' + bytes(7))", 503, ENDED),
        ("send_bytes(channel, bytes(100))", 503, ENDED),
        ("send_bytes(channel, struct.pack('<Q', 2**21 + 1) + b'[' * (2**21 + 1))", 503, ENDED),
        ("send(channel, {'failure': [[]]})", 503, ENDED),
        (fail("faults=[9]"), 503, ENDED),
        (fail("said='x' * 10**6", "ModelFailed"), 500, "x"),
        (fail("faults=[{'detail': 'x' * 10**6, 'column': 'y' * 10**6}], more=0"), 422, "x"),
        (fail("faults=[], more='x' * 10**6"), 503, ENDED),
        (row([0, 0], "ones((2, 3))"), 503, ENDED),
        (shape([9] * 400_000), 503, ENDED),
        (shape([2**70]), 503, ENDED),
        (row([3], "ones((1, 3))"), 503, ENDED),
        (row([0], "full((1, 3), np.nan)"), 503, ENDED),
        (row([0], "full((1, 3), 1e9)"), 503, ENDED),
        (row([0], "ones((1, 3), bool)"), 503, ENDED),
        ("send(channel, {}, {'indices': np.zeros(1)})", 503, ENDED),
    ],
)
def test_a_row_that_is_not_answered_well_is_answered_with_the_reason(app, code, status, expected):
    response = ask(app, arm(code))

    assert response.status_code == status
    assert expected in response.json()["detail"]
    assert len(response.content) < 5000


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("threading.Event().wait()", "took longer than 1 seconds"),
        ("os.abort()", "has ended"),
        ("send_bytes(channel, b'{}')", "has ended"),
        (
            "channel.sendall(struct.pack('<Q', 8) + b''.join(pack({'rows': float('nan')})))",
            "has ended",
        ),
        ("send(channel, {}, {'piece': np.zeros(2)})", "has ended"),
        ("send(channel, {}, {'piece': np.zeros((1, 9), np.uint8)})", "not bytes"),
        ("send(channel, {}, {'piece': np.zeros(0, np.uint8)})", "not bytes"),
        ("send(channel, {'x': 'x' * 10**6}, {'piece': np.ones(1, np.uint8)})", "has ended"),
        ("send(channel, {'rows': -1, 'total': 0})", "has ended"),
        (counts(2**70), "not those of a table"),
        (counts(1, found=2), "not of these rows"),
        (tell(read_as=["x"]), "how it has read"),
        (tell(renamed=True), "no names"),
        (tell(renamed=-1), "no names"),
        (tell(renamed=2**70), "no names"),
        (tell("zeros((3, 3), np.int64)"), "warnings are wrong"),
        (tell("zeros((4, 3))"), "warnings are wrong"),
        (tell("full((4, 3), -1)"), "not of a table"),
        (tell("full((4, 3), 2**62)"), "not of a table"),
        ("send(channel, {'read_as': '', 'renamed': 0})", "has ended"),
    ],
)
def test_a_table_that_is_not_answered_well_is_answered_with_the_reason(app, code, expected):
    version = next(NAMES)
    publish_in(app.folder, version, arm(code, "table"))

    response = app.post(f"/predict/batch?version={version}", json={"instances": [SETOSA]})

    assert response.status_code == 503
    assert expected in response.json()["detail"]


ENDLESS = """until = time.monotonic() + 20
    while time.monotonic() < until:
        send(channel, {}, {"piece": np.zeros(1, np.uint8)})
    send(channel, {}, {"piece": np.ones(1, np.uint8)})
    send(channel, {"done": True})"""


def test_an_endless_answer_is_cut_and_keeps_nobody_waiting(app):
    publish_in(app.folder, version := next(NAMES), arm(ENDLESS, "table"))
    headers, query = [(b"content-type", b"application/json")], f"version={version}".encode()
    scope = {"type": "http", "method": "POST", "path": "/predict/batch", "http_version": "1.1"}
    scope |= {"headers": headers, "query_string": query, "state": dict(app.app_state)}
    messages = [{"type": "http.request", "body": json.dumps({"instances": [SETOSA]}).encode()}]
    pieces, answered = set(), 0

    async def receive():
        return messages.pop() if messages else await asyncio.Event().wait()

    async def take(message):  # at once, so that nothing but the server makes room for others
        pieces.add(bytes(message.get("body", b"")))

    table = app.portal.start_task_soon(app.app, scope, receive, take)
    while not table.done():
        has_begun = b"\0" in pieces
        answered += has_begun and app.post("/predict", json=SETOSA).is_success

    assert answered > 50
    assert b"\1" not in pieces  # the end


def spoil(nodes, is_inner, names, far):
    """Lead from the last inner node to itself, or far away."""
    inner = np.flatnonzero(is_inner)[-1]
    for name in names:
        nodes[name][inner] = 2**31 if far else inner


def spoiled_trees(estimator, far):
    for it in np.ravel(getattr(estimator, "estimators_", [estimator])):
        state = it.tree_.__getstate__()
        nodes = state["nodes"]
        spoil(nodes, nodes["left_child"] > 0, ("left_child", "right_child"), far)
        it.tree_.__setstate__(state)
    return estimator


def spoiled_histograms(estimator, far):
    for nodes in (it.nodes for step in estimator._predictors for it in step):
        spoil(nodes, nodes["is_leaf"] == 0, ("left", "right"), far)
    return estimator


def spoiled_neighbours(estimator, far):
    state = list(estimator._tree.__getstate__())
    state[1] = np.full_like(state[1], 2**40 if far else -(2**40))
    estimator._tree.__setstate__(tuple(state))
    return estimator


@pytest.mark.parametrize("far", [False, True], ids=["circle", "outside"])
@pytest.mark.parametrize(
    ("spoiled", "estimator"),
    [
        (spoiled_trees, DecisionTreeClassifier(random_state=0)),
        (spoiled_trees, RandomForestClassifier(3, random_state=0)),
        (spoiled_trees, GradientBoostingClassifier(n_estimators=3, random_state=0)),
        (spoiled_histograms, HistGradientBoostingClassifier(max_iter=3)),
        (spoiled_neighbours, KNeighborsClassifier(3, algorithm="kd_tree")),
    ],
)
def test_a_model_that_leads_astray_costs_its_own_process_at_the_most(app, spoiled, estimator, far):
    """Refused, or no answer to some rows; and by no means an answer of the live one's."""
    version = next(NAMES)
    drop(app.folder, spoiled(fit_iris(estimator), far), version)

    statuses = {
        app.post(
            f"/predict?version={version}", json=dict(zip(SETOSA, row, strict=True))
        ).status_code
        for row in ([5.1, 3.5, 1.4, 0.2], [6.0, 2.7, 5.1, 1.6], [6.7, 3.0, 5.2, 2.3])
    }

    assert statuses <= {200, 409, 422, 503}
    assert app.post("/predict", json=SETOSA).json()["prediction_class"] == "setosa"


def test_three_deaths_in_a_minute_refuse_a_version_and_the_next_serves(app):
    worse = publish_in(app.folder, "2026_12_01_T00_00_00", arm("os.abort()"))
    wait_until_live(app, "2026_12_01_T00_00_00")

    statuses = [app.post("/predict", json=SETOSA).status_code for _ in range(3)]

    assert statuses[:2] == [503, 503]  # the next version may answer the third
    wait_until_live(app, VERSION)
    refused = app.get(f"/models/{worse.stem.removeprefix('model_')}").json()
    assert (refused["state"], refused["reason"]) == ("refused", live.DIED)


def test_many_rows_that_take_too_long_do_not_refuse_a_version(app):
    publish_in(app.folder, version := next(NAMES), arm("threading.Event().wait()"))
    inputs = [describe_tensor(name, [1.0, 1.0]) for name in SETOSA]
    url = f"/v2/models/iris/versions/{version}/infer"

    statuses = {app.post(url, json={"inputs": inputs}).status_code for _ in range(3)}

    assert statuses == {503}
    assert app.get(f"/models/{version}").json()["state"] == "available"


def test_a_version_that_dies_alone_leaves_nothing_live_and_says_why(nursery, tmp_path, monkeypatch):
    monkeypatch.setattr(main, "find_nursery", lambda: nursery)
    publish_in(tmp_path, VERSION, arm("os.abort()"))
    with running_app(tmp_path, **LIMITS) as client:
        for _ in range(3):
            client.post("/predict", json=SETOSA)

        wait_until(lambda: "three times within a minute" in reason(client))


def test_the_end_of_the_process_that_forks_is_noticed_by_one_row_at_the_most(app, nursery):
    publish_in(app.folder, version := next(NAMES), fit_iris(KNeighborsClassifier(3)))
    url = f"/predict?version={version}"
    assert app.post(url, json=SETOSA).is_success

    os.kill(nursery.pid, signal.SIGKILL)

    assert app.post(url, json=SETOSA).status_code in (200, 503)
    wait_until(lambda: app.post(url, json=SETOSA).is_success)


@pytest.fixture
def no_collector():
    """What ends does so at once, not when Python happens to look for cycles."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_loading_leaves_no_process_and_no_descriptor_behind(app, nursery):
    def load(times):
        for _ in range(times):
            publish_in(app.folder, version := next(NAMES), fit_iris(DecisionTreeClassifier()))
            assert app.post(f"/predict?version={version}", json=SETOSA).is_success
        wait_until(lambda: len(list_processes(nursery.pid)) <= live.KEPT_VERSIONS + 1)

    def count_descriptors():
        return len([*Path("/proc/self/fd").iterdir()])

    load(live.KEPT_VERSIONS)
    before = count_descriptors()
    load(2 * live.KEPT_VERSIONS)

    # The folder is looked at all the while, which takes one for a moment.
    wait_until(lambda: count_descriptors() <= before)


# Takes the process over: speaks for the model, tries all attacks at each question, and answers
# setosa if each was denied.
TAKES_OVER = """
from worker.exchange import receive
import numpy as np
def look():
    exec(TRIES, room)
    return [name for name, it in room["said"].items() if it != DENIED[name]]
room = {"ATTACKS": ATTACKS}
at_once = look()
channel, send = room["channel"], room["send"]
send(channel, {"has_probabilities": True, "description": None, "remarks": at_once})
while True:
    message = receive(channel)
    broken = look()
    if message.head["ask"] != "answer":
        failure = {"kind": "MalformedTable", "said": f"Broken: {broken}"}
        send(channel, {"failure": failure, "not_compiled": "never"})
        continue
    rows = len(message.arrays["X"])
    index = np.full(rows, 1 if broken else 0)
    send(channel, {}, {"indices": index, "probabilities": np.eye(3)[index]})
"""


def publish_handed(folder, version, attacks, log_loss):
    """Write the handed pickle with a manifest; whether this Python runs what is in it."""
    given = {"VERSION": version, "ATTACKS": attacks, "TRIES": TRIES, "DENIED": DENIED}
    content = handed_pickle.write(f"exec({TAKES_OVER!r}, {given!r})")
    metrics = {"log_loss": {"mean": log_loss}}
    changes = {"examples": [], "metrics": metrics, "features": HISTOGRAMS}
    manifest = describe(fit(), content, version) | changes
    (folder / f"model_{version}.json").write_text(json.dumps(manifest))
    (folder / f"model_{version}.pkl").write_bytes(content)


def find_shadow(show):
    """What the shadow answered, once it has."""
    shadow = show("/monitoring")["shadow"]
    return shadow if shadow and shadow["answered"] else None


def test_the_handed_pickle_breaks_nothing_in_trial_live_a_table_or_the_shadow(tmp_path):
    models = tmp_path / "models"
    models.mkdir()
    publish_in(models)
    (tmp_path / "model.pkl").write_bytes(b"x")
    variables = {"API_KEY": "k", "SHADOW": "challenger"} | {
        name.upper(): it for name, it in journal_in(tmp_path).items()
    }
    with running_server(models, **variables) as (url, server):
        attacks = make_attacks(tmp_path, server.pid)
        publish_handed(models, WORSE, attacks, 0.01)
        publish_handed(models, WORST, attacks, 0.1)
        asking = partial(requests.request, headers={"X-API-Key": "k"}, timeout=20)

        def show(path):
            return asking("GET", url + path).json()

        wait_until(lambda: show(f"/models/{WORST}")["state"] in ("live", "refused"))
        if sys.version_info[:2] == handed_pickle.PYTHON:
            live_model = show("/models/live")
            assert (live_model["version"], live_model["remarks"]) == (WORST, [])
            answer = asking("POST", f"{url}/predict", json=SETOSA).json()
            assert answer["prediction_class"] == "setosa"
            table = asking("POST", f"{url}/predict/batch", json={"instances": [SETOSA]})
            assert table.json()["detail"] == "Broken: []"
            wait_until(lambda: asking("POST", f"{url}/predict", json=SETOSA) and find_shadow(show))
            shadow = find_shadow(show)
            assert (shadow["model_version"], shadow["agreed"]) == (WORSE, shadow["answered"])
        processes = [pid for pid, _ in list_processes(server.pid)]
        server.kill()
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes))
    assert not (tmp_path / "new").exists()


# A server that has answered a row, a table and a question why, and what it has imported by then.
SERVER = """
import json, sys
from fastapi.testclient import TestClient
import main
instance = json.loads(sys.argv[1])
with TestClient(main.app) as client:
    while not client.get("/health/ready").is_success:
        pass
    client.post("/predict", json=instance).raise_for_status()
    client.post("/explain", json=instance).raise_for_status()
    for kind in ("json", "csv", "vnd.apache.parquet", "vnd.apache.arrow.stream"):
        headers = {"Accept": f"text/{kind}" if kind == "csv" else f"application/{kind}"}
        sent = client.post("/predict/batch", json={"instances": [instance]}, headers=headers)
        sent.raise_for_status()
    print(*sys.modules)
"""
OPENERS = {"sklearn", "scipy", "joblib", "pandas", "pyarrow", "onnxruntime", "worker.unpickling"}


def test_the_server_imports_nothing_that_opens_a_model_or_a_table(tmp_path):
    publish_in(tmp_path)
    command = [sys.executable, "-c", SERVER, json.dumps(SETOSA)]
    variables = environment(MODELS_DIR=tmp_path, JOURNAL="off")

    modules = subprocess.check_output(command, cwd=ROOT / "backend", env=variables, text=True)

    assert OPENERS & set(modules.split()) == set()


def test_a_system_without_walls_serves_unsigned_models_only_if_told_to(tmp_path, monkeypatch):
    monkeypatch.setattr(model_worker, "WALLS", {"none of this system's"})
    publish_in(tmp_path)
    (tmp_path / "model_2099_01_01_T00_00_00.pkl").write_bytes(b"whoever opens this says so")
    with run_app(tmp_path) as client:
        wait_until(lambda: "set MODEL_TRUST=auto" in reason(client))
        states = client.get("/models").json()["models"]
        assert all("set MODEL_TRUST=auto" in it["reason"] for it in states)

    with running_app(tmp_path, model_trust="auto") as client:
        assert client.get("/models/live").json()["confined"] == ["files", "calls", "memory"]
