"""Answers /feedback over HTTP as the backend does."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]


def entries(*labelled: tuple[Json, str]) -> list[Json]:
    """What /feedback tells of labelled inputs, oldest first."""
    return [
        {
            "prediction_id": f"{number:032x}",
            "model_version": "2026_11_21_T20_44_20",
            "inputs": inputs,
            "label": label,
            "prediction_class": label,
        }
        for number, (inputs, label) in enumerate(labelled)
    ]


class JournalServer(ThreadingHTTPServer):
    """Pages of the entries; `asked` are the queries that came in."""

    def __init__(self, feedback: list[Json], name: str = "iris", keys: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.feedback, self.name, self.keys = feedback, name, keys
        self.asked: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str, key: str | None) -> tuple[int, Json]:
        address = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        self.asked.append(query)
        if self.keys and key not in self.keys.split(","):
            return 401, {"title": "Unauthorized", "detail": "Send a key."}
        if address.path != "/feedback":
            return 404, {"title": "Not Found"}
        return 200, self._page(query)

    def _page(self, query: dict[str, str]) -> Json:
        mine = self.feedback if query["name"] == self.name else []
        left = [it for it in mine if it["prediction_id"] > query.get("after", "")]
        limit = int(query.get("limit", 1000))
        following = left[limit - 1]["prediction_id"] if len(left) > limit else None
        return {"feedback": left[:limit], "next": following}


class FixedServer(JournalServer):
    """Says the same to everything."""

    def __init__(self, status: int, body: bytes, **headers: str) -> None:
        super().__init__([])
        self.status, self.body, self.headers = status, body, headers


class _Handler(BaseHTTPRequestHandler):
    server: JournalServer

    def do_GET(self) -> None:
        headers = {}
        if isinstance(self.server, FixedServer):
            self.server.asked.append({})
            status, body, headers = self.server.status, self.server.body, self.server.headers
        else:
            path = self.requestline.split()[1]  # self.path has lost a second slash in front
            status, said = self.server.answer(path, self.headers["X-API-Key"])
            body = json.dumps(said).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def serving(server: JournalServer) -> Iterator[JournalServer]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
