"""Keeps a mixed load on a backend, from processes of its own, and tells what came of it."""

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterable
from http.client import HTTPException
from multiprocessing.context import SpawnProcess
from queue import Empty
from random import Random
from threading import Thread
from typing import Any, NamedTuple

import questions
from formats import CSV
from questions import AnsweredRows, Question
from wire import Answer, KeptConnection, find_flaw

SPAWN = multiprocessing.get_context("spawn")
REPORT_SECONDS = 0.5
HEADER_SECONDS, BODY_SECONDS = 10, 30  # the backend's patience
PATIENCE = 15  # beyond that
SEEN = 6  # versions that are asked for by name
WAIT_SECONDS = 2.0  # until a prediction is labelled, at most
LEFT_ROWS = 1000  # of a table whose caller does not wait for the answer


class Attempt(NamedTuple):
    """Times of the monotonic clock; the status is 0 if no answer came.

    `flaw` says what is not as it should be, `label` of which prediction is what, and recorded.
    """

    kind: str
    started: float
    ended: float
    status: int
    flaw: str | None = None
    answered: AnsweredRows | None = None
    label: tuple[str, str] | None = None


class Caller(Thread):
    """Behaves in one way at a steady rate, over one connection."""

    def __init__(self, group: "Group", behave: "Behaviour", rate: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.group = group
        self.kept = KeptConnection(group.port)
        self.random = Random(seed)
        self._behave = behave
        self._pause = 1 / rate

    def run(self) -> None:
        due = time.monotonic()
        while not self.group.stop.is_set():
            try:
                for attempt in self._behave(self):
                    self.group.report(attempt)
            except Exception as error:  # or one caller less would go unnoticed
                now, kind = time.monotonic(), self._behave.__name__
                self.group.report(Attempt(kind, now, now, 0, f"the caller failed: {error!r}"))
            due = max(due + self._pause, time.monotonic() - self._pause)
            self.wait(due - time.monotonic())
        self.kept.close()

    def wait(self, seconds: float) -> None:
        """Unless the load ends."""
        self.group.stop.wait(max(seconds, 0))

    def send(self, question: Question) -> Attempt:
        return self.attempt(question, lambda: self.kept.ask(question.content, question.method))

    def attempt(self, question: Question, ask: Callable[[], Answer]) -> Attempt:
        started = time.monotonic()
        try:
            answer = ask()
        except (OSError, HTTPException) as error:
            return Attempt(question.kind, started, time.monotonic(), 0, f"no answer: {error!r}")
        return judge(question, answer, started, time.monotonic())


def judge(question: Question, answer: Answer, started: float, ended: float) -> Attempt:
    attempt = Attempt(question.kind, started, ended, answer.status)
    shape = find_flaw(question.path, answer) if answer.status >= 400 else None
    if shape or answer.status not in question.statuses:
        said = f": {answer.body[:200]!r}"
        return attempt._replace(flaw=shape or f"{answer.status} for {question.path}{said}")
    if question.read is None:
        return attempt
    try:
        return attempt._replace(answered=question.read(answer))
    except Exception as error:  # whatever it is, the answer is not what it should be
        return attempt._replace(flaw=f"unreadable answer: {error!r}")


Behaviour = Callable[[Caller], Iterable[Attempt]]


def ask(*kinds: Callable[[Random], Question]) -> Behaviour:
    """Draw one of several kinds each time."""

    def ask_one(caller: Caller) -> Iterable[Attempt]:
        yield caller.send(caller.random.choice(kinds)(caller.random))

    return ask_one


def ask_older(caller: Caller) -> Iterable[Attempt]:
    """Versions by name that have been seen."""
    if caller.group.seen:
        version = caller.random.choice(tuple(caller.group.seen))
        kind = caller.random.choice([questions.predict_one, questions.infer])
        yield caller.send(kind(caller.random, version))


def label(caller: Caller) -> Iterable[Attempt]:
    """Predict, and say a moment later what it should have been."""
    question = questions.predict_one(caller.random)._replace(kind="/predict, to be labelled")
    predicted = caller.send(question)
    yield predicted
    if predicted.answered is None or predicted.answered.identifier is None:
        return
    caller.wait(caller.random.choice([0, caller.random.uniform(0, WAIT_SECONDS)]))
    identifier = predicted.answered.identifier
    name = caller.random.choice([*questions.CLASSES, "tulip"])
    yield caller.send(questions.label(identifier, name))._replace(label=(identifier, name))


def leave(caller: Caller) -> Iterable[Attempt]:
    """Go away in the middle, politely or not."""
    table = questions.write_rows(questions.draw(caller.random, LEFT_ROWS), CSV)
    contents = [
        questions.write("POST", "/predict/batch", table, content_type=CSV),
        questions.predict_one(caller.random).content,
    ]
    content = caller.random.choice(contents)
    size = caller.random.choice([20, len(content) // 2, len(content) - 1, len(content)])
    started, flaw = time.monotonic(), None
    try:
        caller.kept.open().sendall(content[:size])
        caller.wait(caller.random.choice([0, 0.002, 0.05]))
    except OSError as error:
        flaw = f"no connection: {error!r}"
    caller.random.choice([caller.kept.reset, caller.kept.close])()
    yield Attempt("leaves in the middle", started, time.monotonic(), 0, flaw)


def stop_midway(caller: Caller) -> Iterable[Attempt]:
    """Send part of a request, then nothing: it is refused, and its connection closed."""
    single = questions.predict_one(caller.random)
    end = single.content.index(b"\r\n\r\n")
    kind, size, seconds = caller.random.choice(
        [
            ("half a header", end, HEADER_SECONDS),
            ("half a header", end // 2, HEADER_SECONDS),
            ("half a body", end + 20, BODY_SECONDS),
        ]
    )
    deadline = time.monotonic() + seconds + PATIENCE

    def send_and_wait() -> Answer:
        caller.kept.open().sendall(single.content[:size])
        while not caller.kept.is_readable(1.0):
            if caller.group.stop.is_set():
                raise LoadEnds
            if time.monotonic() > deadline:
                raise TimeoutError("it was not refused")
        return caller.kept.read()

    try:
        yield caller.attempt(Question(kind, single.path, b"", statuses=(408,)), send_and_wait)
    except LoadEnds:
        return
    finally:
        caller.kept.close()


class LoadEnds(Exception):
    """Before a refusal came."""


def trickle(caller: Caller) -> Iterable[Attempt]:
    """Send a right request in pieces, slowly, and be answered."""
    question = questions.predict_one(caller.random)._replace(kind="/predict, trickling")
    step = max(len(question.content) // 40, 1)

    def send_in_pieces() -> Answer:
        connection = caller.kept.open()
        for start in range(0, len(question.content), step):
            connection.sendall(question.content[start : start + step])
            time.sleep(0.02)  # the behaviour itself: a body that trickles
        return caller.kept.read()

    yield caller.attempt(question, send_in_pieces)
    caller.kept.close()


# Each behaviour with its threads, and how often each asks in a second. Plain predictions have a
# process of their own, so that their times are the server's.
GROUPS: list[list[tuple[Behaviour, int, float]]] = [
    [(ask(questions.predict_one), 3, 50)],
    [
        (ask(questions.predict_table), 1, 4),
        (ask(questions.infer, questions.infer_binary, questions.predict_v1), 1, 15),
        (ask_older, 1, 1),
        (ask(questions.explain), 1, 4),
        (ask(questions.look), 1, 4),
        (ask(questions.ask_wrongly), 1, 15),
        (label, 3, 2),
        (leave, 1, 4),
        (stop_midway, 6, 1),
        (trickle, 2, 1),
    ],
]


class Group:
    """The callers of one process."""

    def __init__(self, port: int, stop: Any, attempts: Any) -> None:
        self.port = port
        self.stop = stop
        self.seen: deque[str] = deque(maxlen=SEEN)
        self._attempts = attempts
        self._waiting: deque[Attempt] = deque()

    def report(self, attempt: Attempt) -> None:
        self._waiting.append(attempt)
        version = attempt.answered.version if attempt.answered else None
        if version and version not in self.seen:
            self.seen.append(version)

    def run(self, number: int) -> None:
        each = [(behave, rate) for behave, threads, rate in GROUPS[number] for _ in range(threads)]
        callers = [
            Caller(self, behave, rate, seed)
            for seed, (behave, rate) in enumerate(each, 1000 * number)
        ]
        for caller in callers:
            caller.start()
        while alive := [caller for caller in callers if caller.is_alive()]:
            alive[0].join(REPORT_SECONDS)
            self._flush()
        self._flush()

    def _flush(self) -> None:
        self._attempts.put([self._waiting.popleft() for _ in range(len(self._waiting))])


def run_group(port: int, number: int, stop: Any, attempts: Any) -> None:
    Group(port, stop, attempts).run(number)


class Callers:
    """All of them, started and stopped together."""

    def __init__(self, port: int, take: Callable[[list[Attempt]], None]) -> None:
        """`take` gets attempts as they come, in a thread."""
        self._stop = SPAWN.Event()
        self._attempts = SPAWN.Queue()
        self._take = take
        self._processes: list[SpawnProcess] = [
            SPAWN.Process(
                target=run_group, args=(port, number, self._stop, self._attempts), daemon=True
            )
            for number in range(len(GROUPS))
        ]
        self._thread = Thread(target=self._drain, daemon=True)

    def __enter__(self) -> "Callers":
        for process in self._processes:
            process.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        failed = [process.exitcode for process in self._processes if process.exitcode]
        if failed:
            raise RuntimeError(f"callers ended by themselves: {failed}")

    def _drain(self) -> None:
        while any(process.is_alive() for process in self._processes):
            self._take_some(0.5)
        self._take_some(0.5)

    def _take_some(self, seconds: float) -> None:
        try:
            while True:
                self._take(self._attempts.get(timeout=seconds))
        except Empty:
            return
