"""Keeps a mixed load on a backend, from processes of its own, and tells what came of it."""

import multiprocessing
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from http.client import HTTPException
from multiprocessing.context import SpawnProcess
from queue import Empty
from random import Random
from threading import Thread
from typing import Any, NamedTuple

import asking
from asking import LEFT_ROWS, Predicted, Request, draw, write, write_table
from wire import Answer, Kept, find_fault

SPAWN = multiprocessing.get_context("spawn")
REPORT_SECONDS = 0.5
HEADER_SECONDS, BODY_SECONDS = 10, 30  # the backend's patience
PATIENCE = 15  # beyond that
SEEN = 6  # versions that are asked for by name
WAIT_SECONDS = 2.0  # until a prediction is labelled, at most


class Outcome(NamedTuple):
    """Times of the monotonic clock; the status is 0 where no answer came.

    `fault` says what is not as it should be, `label` of which prediction is what, and recorded.
    """

    kind: str
    started: float
    ended: float
    status: int
    fault: str | None = None
    predicted: Predicted | None = None
    label: tuple[str, str] | None = None


class Caller(Thread, ABC):
    """Asks one kind of thing at a steady rate, over one connection."""

    def __init__(self, group: "Group", rate: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.group = group
        self.kept = Kept(group.port)
        self.random = Random(seed)
        self._pause = 1 / rate

    def run(self) -> None:
        due = time.monotonic()
        while not self.group.stop.is_set():
            try:
                for outcome in self.ask():
                    self.group.report(outcome)
            except Exception as error:  # or one caller less would go unnoticed
                now, kind = time.monotonic(), type(self).__name__
                self.group.report(Outcome(kind, now, now, 0, f"the caller failed: {error!r}"))
            due = max(due + self._pause, time.monotonic() - self._pause)
            self.group.stop.wait(max(due - time.monotonic(), 0))
        self.kept.close()

    @abstractmethod
    def ask(self) -> Iterable[Outcome]: ...

    def send(self, request: Request) -> Outcome:
        started = time.monotonic()
        try:
            answer = self.kept.ask(request.content, request.method)
        except (OSError, HTTPException) as error:
            return Outcome(request.kind, started, time.monotonic(), 0, f"no answer: {error!r}")
        return judge(request, answer, started, time.monotonic())


def judge(request: Request, answer: Answer, started: float, ended: float) -> Outcome:
    outcome = Outcome(request.kind, started, ended, answer.status)
    shape = find_fault(request.path, answer) if answer.status >= 400 else None
    if shape or answer.status not in request.statuses:
        said = f": {answer.body[:200]!r}"
        return outcome._replace(fault=shape or f"{answer.status} for {request.path}{said}")
    if request.read is None:
        return outcome
    try:
        return outcome._replace(predicted=request.read(answer))
    except Exception as error:  # whatever it is, the answer is not what it should be
        return outcome._replace(fault=f"unreadable answer: {error!r}")


class Asker(Caller):
    """Draws one of several kinds each time."""

    kinds: tuple[Callable[[Random], Request], ...] = ()

    def ask(self) -> Iterable[Outcome]:
        yield self.send(self.random.choice(self.kinds)(self.random))


class Single(Asker):
    kinds = (asking.predict_one,)


class Many(Asker):
    kinds = (asking.predict_table,)


class Protocol(Asker):
    kinds = (asking.infer, asking.infer_binary, asking.predict_v1)


class Explainer(Asker):
    kinds = (asking.explain,)


class Looker(Asker):
    kinds = (asking.look,)


class Wrong(Asker):
    kinds = (asking.ask_wrongly,)


class Older(Caller):
    """Asks for versions by name that have been seen."""

    def ask(self) -> Iterable[Outcome]:
        if self.group.seen:
            version = self.random.choice(tuple(self.group.seen))
            kind = self.random.choice([asking.predict_one, asking.infer])
            yield self.send(kind(self.random, version))


class Labeller(Caller):
    """Predicts, and says a moment later what it should have been."""

    def ask(self) -> Iterable[Outcome]:
        request = asking.predict_one(self.random)._replace(kind="/predict, to be labelled")
        predicted = self.send(request)
        yield predicted
        if predicted.predicted is None or predicted.predicted.identifier is None:
            return
        self.group.stop.wait(self.random.choice([0, self.random.uniform(0, WAIT_SECONDS)]))
        identifier = predicted.predicted.identifier
        name = self.random.choice([*asking.CLASSES, "tulip"])
        yield self.send(asking.label(identifier, name))._replace(label=(identifier, name))


class Leaver(Caller):
    """Goes away in the middle, politely or not."""

    def ask(self) -> Iterable[Outcome]:
        rows = draw(self.random, LEFT_ROWS)
        table = write(
            "POST", "/predict/batch", write_table(rows, asking.CSV), content_type=asking.CSV
        )
        single = asking.predict_one(self.random).content
        content = self.random.choice([table, single])
        sent = content[
            : self.random.choice([20, len(content) // 2, len(content) - 1, len(content)])
        ]
        started, fault = time.monotonic(), None
        try:
            self.kept.open().sendall(sent)
            self.group.stop.wait(self.random.choice([0, 0.002, 0.05]))
        except OSError as error:
            fault = f"no connection: {error!r}"
        leave = self.random.choice([self.kept.reset, self.kept.close])
        leave()
        yield Outcome("leaves in the middle", started, time.monotonic(), 0, fault)


class Slow(Caller):
    """Sends part of a request, then nothing: it is refused, and its connection closed."""

    def ask(self) -> Iterable[Outcome]:
        single = asking.predict_one(self.random)
        end = single.content.index(b"\r\n\r\n")
        kind, sent, seconds = self.random.choice(
            [
                ("half a header", single.content[:end], HEADER_SECONDS),
                ("half a header", single.content[: end // 2], HEADER_SECONDS),
                ("half a body", single.content[: end + 20], BODY_SECONDS),
            ]
        )
        started = time.monotonic()
        try:
            self.kept.open().sendall(sent)
            if not self._wait(started + seconds + PATIENCE):
                return
            answer = self.kept.read()
        except (OSError, HTTPException) as error:
            yield Outcome(kind, started, time.monotonic(), 0, f"no answer: {error!r}")
        else:
            request = Request(kind, single.path, sent, statuses=(408,))
            yield judge(request, answer, started, time.monotonic())
        finally:
            self.kept.close()

    def _wait(self, until: float) -> bool:
        """Whether there is something to read before the load ends."""
        while time.monotonic() < until:
            if self.kept.is_readable(1.0):
                return True
            if self.group.stop.is_set():
                return False
        raise TimeoutError("it was not refused")


class Trickling(Caller):
    """Sends a right request in pieces, slowly, and is answered."""

    def ask(self) -> Iterable[Outcome]:
        request = asking.predict_one(self.random)._replace(kind="/predict, trickling")
        started = time.monotonic()
        step = max(len(request.content) // 40, 1)
        try:
            connection = self.kept.open()
            for start in range(0, len(request.content), step):
                connection.sendall(request.content[start : start + step])
                time.sleep(0.02)  # what makes it trickle
            answer = self.kept.read()
        except (OSError, HTTPException) as error:
            yield Outcome(request.kind, started, time.monotonic(), 0, f"no answer: {error!r}")
        else:
            yield judge(request, answer, started, time.monotonic())
        finally:
            self.kept.close()


class Load(NamedTuple):
    caller: type[Caller]
    threads: int
    rate: float  # of each, a second


# Plain predictions have a process of their own, so that their times are the server's.
GROUPS = [
    [Load(Single, 3, 50)],
    [
        Load(Many, 1, 4),
        Load(Protocol, 1, 15),
        Load(Older, 1, 1),
        Load(Explainer, 1, 4),
        Load(Looker, 1, 4),
        Load(Wrong, 1, 15),
        Load(Labeller, 3, 2),
        Load(Leaver, 1, 4),
        Load(Slow, 6, 1),
        Load(Trickling, 2, 1),
    ],
]


class Group:
    """The callers of one process."""

    def __init__(self, port: int, stop: Any, outcomes: Any) -> None:
        self.port = port
        self.stop = stop
        self.seen: deque[str] = deque(maxlen=SEEN)
        self._outcomes = outcomes
        self._waiting: deque[Outcome] = deque()

    def report(self, outcome: Outcome) -> None:
        self._waiting.append(outcome)
        version = outcome.predicted.version if outcome.predicted else None
        if version and version not in self.seen:
            self.seen.append(version)

    def run(self, loads: list[Load], seed: int) -> None:
        numbered = enumerate(load for load in loads for _ in range(load.threads))
        callers = [it.caller(self, it.rate, seed + number) for number, it in numbered]
        for caller in callers:
            caller.start()
        while alive := [caller for caller in callers if caller.is_alive()]:
            alive[0].join(REPORT_SECONDS)
            self._flush()
        self._flush()

    def _flush(self) -> None:
        self._outcomes.put([self._waiting.popleft() for _ in range(len(self._waiting))])


def run_group(port: int, number: int, stop: Any, outcomes: Any) -> None:
    Group(port, stop, outcomes).run(GROUPS[number], 1000 * number)


class Callers:
    """All of them, started and stopped together."""

    def __init__(self, port: int, take: Callable[[list[Outcome]], None]) -> None:
        """`take` gets outcomes as they come, in a thread."""
        self._stop = SPAWN.Event()
        self._outcomes = SPAWN.Queue()
        self._take = take
        self._processes: list[SpawnProcess] = [
            SPAWN.Process(
                target=run_group, args=(port, it, self._stop, self._outcomes), daemon=True
            )
            for it in range(len(GROUPS))
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
                self._take(self._outcomes.get(timeout=seconds))
        except Empty:
            return
