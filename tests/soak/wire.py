"""Sends requests byte for byte over connections that are kept, and reads what comes back."""

import json
import re
import select
import socket
import struct
from collections.abc import Iterable
from http.client import HTTPResponse
from typing import NamedTuple

ANSWER_SECONDS = 40  # longer than the longest thing the backend waits for
INFER, INFER_V1 = "/v2/models/iris/infer", "/v1/models/iris:predict"
LENGTH = "inference-header-content-length"
NO_HTTP = "Invalid HTTP request received."  # before there is a route

Header = tuple[bytes, bytes]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]  # by name in small letters
    body: bytes


class KeptConnection:
    """Opened when it is needed; any thread's own."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, request: bytes, method: str = "POST") -> Answer:
        """Raise OSError or HTTPException if no whole answer comes."""
        if self.is_readable(0):
            self.close()  # by the server, while nothing was asked
        try:
            connection = self.open()
            connection.sendall(request)
            return self.read(method)
        except Exception:
            self.close()
            raise

    def open(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), ANSWER_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def is_readable(self, seconds: float) -> bool:
        """Whether something comes, be it the end."""
        found = self._socket and select.select([self._socket], [], [], seconds)[0]
        return bool(found)

    def read(self, method: str = "POST") -> Answer:
        response = HTTPResponse(self.open(), method=method)
        try:
            response.begin()
            body = response.read()
        finally:
            response.close()
        if response.will_close:
            self.close()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, body)

    def reset(self) -> None:
        """As a client that crashes."""
        if self._socket:
            linger = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close()

    def close(self) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None


def write_request(method: str, path: str, headers: Iterable[Header], body: bytes) -> bytes:
    """With a length, where no header says how the body ends."""
    lines = [b"%s %s HTTP/1.1" % (method.encode(), path.encode()), b"host: localhost"]
    lines += [b"%s: %s" % header for header in headers]
    if method == "POST":
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])


def make_tensor(rows: int, datatype: str = "FP64", **content: object) -> dict[str, object]:
    """Of the open protocol, with all four features of some rows."""
    return {"name": "x", "shape": [rows, 4], "datatype": datatype, **content}


def join_binary(document: object, binary: bytes) -> tuple[bytes, str]:
    """A body of the open protocol's binary extension, and where its JSON ends."""
    text = json.dumps(document).encode()
    return text + binary, str(len(text))


def find_flaw(path: str, answer: Answer) -> str | None:
    """What is wrong with a refusal, by docs/api.md; None if nothing is."""
    is_open = bool(re.match(r"/v[12](/|$)", path))
    expected = "application/json" if is_open else "application/problem+json"
    found = answer.headers.get("content-type")
    if found != expected:
        return f"{answer.status} as {found}"
    try:
        document = json.loads(answer.body)
    except ValueError:
        return f"{answer.status} without JSON"
    if answer.status in (429, 503) and not answer.headers.get("retry-after", "").isdigit():
        return f"{answer.status} without Retry-After"
    says = _says_error(document) if is_open else _says_problem(document, answer)
    return None if says else f"{answer.status} with {answer.body[:200]!r}"


def _says_error(document: object) -> bool:
    return isinstance(document, dict) and set(document) == {"error"} and bool(document["error"])


def _says_problem(document: object, answer: Answer) -> bool:
    if not isinstance(document, dict) or document.get("status") != answer.status:
        return False
    identifier = answer.headers.get("x-request-id")
    is_named = identifier and identifier == document.get("request_id")
    texts = [document.get(name) for name in ("title", "detail")]
    return bool(is_named) and all(isinstance(text, str) and text for text in texts)
