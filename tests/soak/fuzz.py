"""Sends the backend what nobody should, and sees to it that it refuses all of it as documented.

    python tests/soak/fuzz.py --count 100000

One backend as it ships, and six connections that are kept. Nothing may be answered by 5xx, but by a
503 that says when to come again; each refusal has the shape its route documents, each prediction
that of one; and at the end the same process lives, as large as before, with no file left open.
Exits with 1 and the smallest such request if that does not hold.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPException
from math import inf
from pathlib import Path
from typing import NamedTuple

import requests
from hypothesis.configuration import set_hypothesis_home_dir

sys.path.extend(str(Path(__file__).parents[2] / folder) for folder in ("tests", "bench"))
from load import draw_instances
from models import dump, fit, publish
from nonsense import ROUTES, Case, CaseMaker, draw_material
from shipped import Backend, Held
from wire import NO_HTTP, Answer, KeptConnection, find_flaw

CONNECTIONS = 6
ROUND = 5_000  # cases of one draw of material
DRAWN = 250
GROWTH = 60  # MB more than after the first round
ENOUGH = 100  # findings
SHRINKS = 300  # requests to make a finding smaller


class Finding(NamedTuple):
    what: str
    case: Case


class Fuzz:
    """What was sent so far, and what came back."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Lock()
        self.statuses: dict[str, Counter[int]] = {route: Counter() for route in ROUTES}
        self.findings: list[Finding] = []

    def send(self, cases: list[Case]) -> None:
        """By several connections, each of a thread of its own."""
        waiting = iter(cases)
        threads = [threading.Thread(target=self._run, args=(waiting,)) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _run(self, waiting: Iterator[Case]) -> None:
        connection = KeptConnection(self._port)
        while (case := next(waiting, None)) and len(self.findings) < ENOUGH:
            status, flaw = look(connection, case)
            with self._lock:
                self.statuses[case.route][status] += 1
                if flaw:
                    self.findings.append(Finding(flaw, case))
        connection.close()


def look(connection: KeptConnection, case: Case) -> tuple[int, str | None]:
    """The status, 0 if nothing came back, and what is wrong with the answer."""
    try:
        answer = connection.ask(case.write())
    except (OSError, HTTPException) as error:
        return 0, f"no answer: {error!r}"
    return answer.status, judge(case, answer)


def judge(case: Case, answer: Answer) -> str | None:
    if not case.is_http and answer.status == 400 and NO_HTTP.encode() in answer.body:
        return find_flaw("", answer)
    if answer.status >= 500 and answer.status != 503:
        return f"{answer.status}"
    if answer.status >= 400:
        return find_flaw(ROUTES[case.route], answer)
    if answer.status != 200:
        return f"{answer.status}, which no route answers"
    return None if _is_whole(answer) else f"200 with {answer.body[:100]!r}"


def _is_whole(answer: Answer) -> bool:
    """JSON, if it is declared, can be read; strictly, so without NaN."""
    kind = answer.headers.get("content-type", "")
    if not kind.startswith("application/json") or "content-encoding" in answer.headers:
        return bool(kind and answer.body)
    try:
        json.loads(answer.body, parse_constant=_refuse)
    except ValueError:
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def shrink(port: int, finding: Finding) -> Finding:
    """Find a smaller body that is answered as wrongly, as far as a few hundred tries go."""
    connection, tries = KeptConnection(port), SHRINKS
    size = max(len(finding.case.body) // 2, 1)
    while size and tries > 0:
        for start in range(0, len(finding.case.body), size):
            body = finding.case.body
            smaller = finding.case._replace(body=body[:start] + body[start + size :])
            _, found = look(connection, smaller)
            tries -= 1
            if found and found[:3] == finding.what[:3]:
                finding = Finding(found, smaller)
                break
            if tries <= 0:
                break
        else:
            size //= 2
    connection.close()
    return finding


def predict_some(url: str) -> list[str]:
    """Ids that the journal has, or will have in a moment."""
    session = requests.Session()
    answers = [session.post(f"{url}/predict", json=row, timeout=30) for row in draw_instances(4)]
    return [answer.json()["prediction_id"] for answer in answers]


def run(backend: Backend, known: list[str], count: int, seed: int) -> tuple[Fuzz, Held, Held]:
    """What was held after the first round, and at the end."""
    fuzz, first, sent = Fuzz(backend.port), None, 0
    while sent < count and not fuzz.findings:
        material = draw_material(seed + sent, DRAWN)
        cases = CaseMaker(seed + sent, material, known).make(min(ROUND, count - sent))
        fuzz.send(cases)
        sent += len(cases)
        first = first or _rest(backend)
        print(f"{sent:,} sent", file=sys.stderr)
    return fuzz, first, _rest(backend, first.descriptors)


def _rest(backend: Backend, most: float = inf) -> Held:
    return backend.rest(most) if backend.is_alive() else Held(0, 0, [], 0)


def report(fuzz: Fuzz, seconds: float) -> None:
    statuses = sorted(set().union(*fuzz.statuses.values()))
    print("| route | " + " | ".join(str(status or "none") for status in statuses) + " |")
    print("| --- |" + " ---: |" * len(statuses))
    for route, found in fuzz.statuses.items():
        print(f"| `{route}` | " + " | ".join(f"{found[status]:,}" for status in statuses) + " |")
    total = sum(found.total() for found in fuzz.statuses.values())
    print(f"\n{total:,} requests, {total / seconds:,.0f} a second")


def list_flaws(backend: Backend, fuzz: Fuzz, first: Held, last: Held) -> list[str]:
    """All that is wrong at the end."""
    counts = Counter(finding.what for finding in fuzz.findings)
    flaws = [f"{count} × {what}" for what, count in counts.items()]
    if not backend.is_alive():
        return [*flaws, "the backend has died"]
    flaws += [f"in the log: {line}" for line in Counter(backend.find_tracebacks())]
    if not backend.is_ready():
        flaws.append("the backend is not ready")
    if last.descriptors > first.descriptors:
        flaws.append(f"open files: {first} before, {last} after")
    if last.memory > first.memory + GROWTH:
        flaws.append(f"{last.memory - first.memory:.0f} MB are not given back")
    return flaws


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        set_hypothesis_home_dir(folder / "hypothesis")  # or it is in the folder one is in
        publish(dump(fit("forest of 200")), folder)
        backend = Backend(folder, f"sqlite:///{folder}/journal.db")
        backend.start()
        known = predict_some(backend.url)
        started = time.monotonic()
        fuzz, first, last = run(backend, known, options.count, options.seed)
        report(fuzz, time.monotonic() - started)
        flaws = list_flaws(backend, fuzz, first, last)
        print(
            f"\nThe worker: {first.memory:.0f} MB after the first round, {last.memory:.0f} MB at "
            f"the end; {first.descriptors} and {last.descriptors} open files"
        )
        if fuzz.findings and backend.is_alive():
            smallest = min(fuzz.findings, key=lambda finding: len(finding.case.write()))
            smallest = shrink(backend.port, smallest)
            print(f"\n{smallest.what}\n{smallest.case.write()!r}")
        backend.stop()
    sys.exit("\n".join(flaws) or 0)


if __name__ == "__main__":
    main()
