"""Starts the servers that a tracker meets elsewhere, and the faults they have."""

import logging
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import requests
from debian import install
from processes import find_free_port, running, wait_until
from shell import read, run
from werkzeug import Request, Response
from werkzeug.serving import make_server

logging.getLogger("werkzeug").setLevel(logging.ERROR)  # or it tells of every request
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

    def pass_on(request: Request) -> Response:
        path = request.environ["REQUEST_URI"]
        asked.append(f"{request.method} {path}")
        if own := instead(path):
            return Response(own[1], own[0], content_type="application/json")
        headers = {k: v for k, v in request.headers if k.lower() != "host"}
        answer = requests.request(
            request.method, upstream + path, data=request.data, headers=headers
        )
        content_type = answer.headers.get("Content-Type", "application/json")
        return Response(answer.content, answer.status_code, content_type=content_type)

    with running_app(pass_on) as url:
        yield url, asked


@contextmanager
def running_app(answer: Callable[[Request], Response], **options: Any) -> Iterator[str]:
    """The address of a server that answers every request as a function says."""

    @Request.application
    def app(request: Request) -> Response:
        request.get_data()  # or a client that still sends loses the answer
        return answer(request)

    server = make_server("127.0.0.1", 0, app, threaded=True, **options)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()


@contextmanager
def running_postgresql(data: Path | None = None, port: int | None = None) -> Iterator[str]:
    """The address of a database of a real PostgreSQL, whose files are gone at the end.

    With a folder they stay, and another one can go on with them.
    """
    port = port or find_free_port()
    user = os.geteuid() or pwd.getpwnam(NOT_ROOT).pw_uid
    with ExitStack() as stack:
        folder = str(data or stack.enter_context(tempfile.TemporaryDirectory()))
        binaries = _initialize_postgresql(folder, user)
        serve = [binaries / "postgres", "-D", folder, "-p", str(port), "-k", "", "-h", "127.0.0.1"]
        server = subprocess.Popen(serve, user=user, stderr=subprocess.DEVNULL, cwd="/")
        try:
            ready = [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
            wait_until(lambda: subprocess.run(ready).returncode == 0)
            yield f"postgresql://iris@127.0.0.1:{port}/postgres"
        finally:
            # At once where nothing has to be kept.
            server.send_signal(signal.SIGINT if data else signal.SIGQUIT)
            server.wait()


def _initialize_postgresql(folder: str, user: int) -> Path:
    """The binaries of a server whose files are in the folder by then."""
    folders = Path("/usr/lib/postgresql")
    if not [*folders.glob("*/bin")]:
        install("postgresql")
    *_, binaries = sorted(folders.glob("*/bin"))
    if not (Path(folder) / "PG_VERSION").exists():
        Path(folder).mkdir(exist_ok=True)
        os.chown(folder, user, -1)
        command = [binaries / "initdb", "-D", folder, "-U", "iris", "--auth=trust", "--no-sync"]
        subprocess.run(command, check=True, user=user, stdout=subprocess.DEVNULL, cwd="/")
    return binaries


class Caddy(NamedTuple):
    """A web server that makes its own certificates."""

    http_port: int
    https_port: int
    authority: Path
    log: Path


@contextmanager
def running_caddy(caddyfile: Path, folder: Path, **settings: object) -> Iterator[Caddy]:
    """A real Caddy that keeps all it writes in the folder, once it shows certificates."""
    authority = folder / "caddy/pki/authorities/local/root.crt"
    caddy = Caddy(find_free_port(), find_free_port(), authority, folder / "caddy.log")
    variables = {
        "HTTP_PORT": caddy.http_port,
        "HTTPS_PORT": caddy.https_port,
        "XDG_CONFIG_HOME": folder,
        "XDG_DATA_HOME": folder,
        **settings,
    }
    serve = [find("caddy"), "run", "--config", str(caddyfile), "--adapter", "caddyfile"]
    with caddy.log.open("w") as log, running(serve, ".", log, **variables):
        for name in ("", "api.", "mlflow."):
            wait_until(lambda host=f"{name}{settings['DOMAIN']}": _shows_certificate(caddy, host))
        yield caddy


def connect_to_caddy(caddy: Caddy, host: str) -> ssl.SSLSocket:
    """Trusting its authority alone; raises OSError where it is not what it says."""
    context = ssl.create_default_context(cafile=caddy.authority)
    plain = socket.create_connection(("127.0.0.1", caddy.https_port), timeout=20)
    return context.wrap_socket(plain, server_hostname=host)


def _shows_certificate(caddy: Caddy, host: str) -> bool:
    try:
        connect_to_caddy(caddy, host).close()
    except OSError:
        return False
    return True


@contextmanager
def running_prometheus(config: Path, data: Path) -> Iterator[str]:
    """The address of a real Prometheus with this configuration, once it is ready."""
    port = find_free_port()
    url = f"http://127.0.0.1:{port}"
    options = ["--log.level=error", f"--web.listen-address=127.0.0.1:{port}"]
    files = [f"--config.file={config}", f"--storage.tsdb.path={data}"]
    with running([find("prometheus"), *files, *options], "."):
        wait_until(lambda: requests.get(f"{url}/-/ready", timeout=5).ok)
        yield url


def promtool(*arguments: object) -> None:
    read(find("promtool", "prometheus"), *arguments)


def find(program: str, *packages: str) -> str:
    """A program of Debian's, installed where there is none."""
    if not shutil.which(program):
        install(*(packages or (program,)))
    return shutil.which(program) or program


def find_r() -> str:
    """Rscript with httr2 and jsonlite."""
    rscript = find("Rscript", *(packages := ("r-cran-httr2", "r-cran-jsonlite")))
    if run(rscript, "-e", "library(httr2); library(jsonlite)").returncode:
        install(*packages)
    return rscript
