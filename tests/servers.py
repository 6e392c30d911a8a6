"""Starts the servers that a tracker meets elsewhere, and the faults they have."""

import os
import pwd
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests
from processes import find_free_port, wait_until

NOT_ROOT = "nobody"  # PostgreSQL refuses to run as root


@contextmanager
def running_mute() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as it:
        yield f"http://127.0.0.1:{it.getsockname()[1]}"


@contextmanager
def running_proxy(upstream: str, refusing: str, status: int) -> Iterator[tuple[str, list[str]]]:
    """Before a server, refusing some of its paths; the list is of those it has refused."""
    refused: list[str] = []

    def refuse(path: str) -> tuple[int, bytes] | None:
        if refusing not in path:
            return None
        refused.append(path)
        return status, b""

    with running_relay(upstream, refuse) as (url, _):
        yield url, refused


@contextmanager
def running_relay(
    upstream: str, instead: Callable[[str], tuple[int, bytes] | None] = lambda _: None
) -> Iterator[tuple[str, list[str]]]:
    """Before a server, answering some of its paths in its place; the list is of what is asked."""
    asked: list[str] = []

    class Relay(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self):
            asked.append(f"{self.command} {self.path}")
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if own := instead(self.path):
                self.answer(*own, "application/json")
                return
            headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
            url = upstream + self.path
            answer = requests.request(self.command, url, data=body, headers=headers)
            content_type = answer.headers.get("Content-Type", "application/json")
            self.answer(answer.status_code, answer.content, content_type)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on  # noqa: N815

        def answer(self, status, content, content_type):
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            # Or a client would go on with it on the same connection when it is no longer there.
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Relay) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@contextmanager
def running_postgresql() -> Iterator[str]:
    """The address of a database of a real PostgreSQL, whose files are gone at the end."""
    binaries, port = _find_postgresql(), str(find_free_port())
    user = os.geteuid() or pwd.getpwnam(NOT_ROOT).pw_uid
    with tempfile.TemporaryDirectory() as data:
        os.chown(data, user, -1)
        initialize = [binaries / "initdb", "-D", data, "-U", "iris", "--auth=trust", "--no-sync"]
        subprocess.run(initialize, check=True, user=user, stdout=subprocess.DEVNULL, cwd=data)
        serve = [binaries / "postgres", "-D", data, "-p", port, "-k", "", "-h", "127.0.0.1"]
        server = subprocess.Popen(serve, user=user, stderr=subprocess.DEVNULL, cwd=data)
        try:
            ready = [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", port]
            wait_until(lambda: subprocess.run(ready).returncode == 0)
            yield f"postgresql://iris@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGQUIT)  # at once, as nothing has to be kept
            server.wait()


def _find_postgresql() -> Path:
    """Debian's, installed where it is missing."""
    if not (found := sorted(Path("/usr/lib/postgresql").glob("*/bin"))):
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        command = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "postgresql"]
        subprocess.run(command, check=True, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return found[-1]
