"""Shows where the microseconds of a prediction go, within the backend's own process.

    make bench

Each step of a one-row request is called in a loop, without server and sockets; what those cost is
the figure of the bare app in bench/single_rows.py. In a server everything is a little slower.
"""

import asyncio
import io
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path

from load import draw_instances
from models import ESTIMATORS, dump, fit, publish
from pydantic_core import to_json

sys.path.insert(0, str(Path(__file__).parent.parent / "backend"))
from instrumentation.instruments import Instruments
from instrumentation.logs import RequestLog
from journal.ledger import Entry, Ledger
from journal.recorder import Recorder
from serving.live import LiveModel
from serving.loading import load
from serving.manifests import Manifests
from settings import Settings
from web.entrance import Entrance
from web.security import Gate
from worker.nursery import find_nursery

ROUNDS = 7
ANSWERED = ("POST", "/predict", 200, 1e-4, "x", 0.0)
SCOPE = {
    "type": "http", "method": "POST", "path": "/predict", "query_string": b"",
    "headers": [(b"host", b"localhost"), (b"content-type", b"application/json"),
                (b"content-length", b"83")],
    "root_path": "",
}  # fmt: skip


def time_each(function: Callable[..., object], arguments: Iterable[object]) -> float:
    """Microseconds of a call, the fastest of the rounds."""
    arguments = list(arguments)
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for argument in arguments:
            function(argument)
        best = min(best, time.perf_counter() - started)
    return best / len(arguments) * 1e6


async def time_whole(app: Callable[..., Awaitable[None]], bodies: list[bytes]) -> float:
    async def send(_: object) -> None:
        pass

    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for body in bodies:

            async def receive(body: bytes = body) -> dict:
                return {"type": "http.request", "body": body, "more_body": False}

            await app(SCOPE, receive, send)
        best = min(best, time.perf_counter() - started)
    return best / len(bodies) * 1e6


async def refuse(*_: object) -> None:
    raise AssertionError("the entrance answers all of these")


def assemble(
    live: LiveModel, settings: Settings, instruments: Instruments, bodies: list[bytes]
) -> tuple[Entrance, Callable[..., object]]:
    """The entrance, and a function that writes down a thousand predictions as its ledger does."""
    log = RequestLog(io.StringIO(), is_json=False)
    recorder = Recorder(settings, live)
    setattr(recorder, "_put", lambda *_: None)  # noqa: B010  the queue is emptied elsewhere
    ledger = Ledger(log, recorder)

    def write(_: object) -> None:
        ledger._entries, ledger._answered = entries[:], [ANSWERED] * len(entries)
        ledger.write()

    model = live.model()
    entries: list[Entry] = []
    for body in bodies:
        values = model.read_instance(body)
        [answer] = model.answer_many([values])
        prediction = model.describe(values, answer)
        entries.append((model, prediction, values))
    return Entrance(refuse, Gate(settings), live, instruments, ledger), write


def measure(name: str) -> dict[str, float]:
    bodies = [json.dumps(instance).encode() for instance in draw_instances()]
    instruments = Instruments()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(models_dir=Path(folder))
        publish(dump(fit(name)), Path(folder))
        manifests = Manifests(settings)
        open_model = partial(load, manifests=manifests, settings=settings, nursery=find_nursery())
        live = LiveModel(manifests.find, open_model)
        live.refresh()
    model = live.model()
    values = [model.read_instance(body) for body in bodies]
    [answer] = model.answer_many(values[:1])
    prediction = model.describe(values[0], answer)
    app, written = assemble(live, settings, instruments, bodies)
    steps = {
        "is it the plain case": time_each(
            lambda scope: app._is_plain(scope, dict(scope["headers"])), [SCOPE] * 1000
        ),
        "JSON to checked values (pydantic's core)": time_each(model.read_instance, bodies),
        "the model": time_each(model._predict_one, values),
        "answer, id, looking for warnings": time_each(
            lambda row: model.describe(row, answer), values
        ),
        "answer to JSON (pydantic's core)": time_each(to_json, [prediction] * 1000),
        "counting it": time_each(instruments.count, [ANSWERED] * 1000),
        "its line of the log, its place in the journal": time_each(written, range(10)) / 1000,
    }
    whole = asyncio.run(time_whole(app, bodies))
    rest = "receiving, sending, coroutines"
    return {**steps, rest: whole - sum(steps.values()), "**all of it**": whole}


def main() -> None:
    found = {name: measure(name) for name in ESTIMATORS}
    print(f"| step, in µs | {' | '.join(found)} |\n| --- |{' ---: |' * len(found)}")
    for step in next(iter(found.values())):
        print(f"| {step} | {' | '.join(f'{steps[step]:.2f}' for steps in found.values())} |")


if __name__ == "__main__":
    main()
