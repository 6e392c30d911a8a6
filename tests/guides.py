"""Follows a page of the documentation: runs what it shows, in a clone of its own."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests
import warm
from documentation import ROOT, Block
from processes import find_free_port, give_database, running, wait_until
from shell import read, run

# In this order: each page needs what those before it made.
PAGES = [
    "docs/tutorial.md",
    "docs/how-to/own-table.md",
    "docs/how-to/score-files.md",
    "docs/how-to/go-back.md",
    "docs/how-to/sign.md",
    "docs/how-to/retrain.md",
    "docs/how-to/monitor.md",
]
PORTS = {"FRONTEND_PORT": "8001", "BACKEND_PORT": "8002", "MLFLOW_PORT": "8003"}
# A training of all candidates, or for a time; the pages' claims hold with any candidate.
TRAINING = re.compile(r'(make train ARGS="--data [^"]*?)( --budget [\d.]+)?( --with-feedback)?"')
CHANGES = re.compile(r"make |harvest\.py|feedback|^rm ")
SECONDS = 90  # a model goes live, and labels reach the journal, a moment later


@dataclass
class Stack:
    """`make local` in a copy of the working tree, with files and ports to itself."""

    folder: Path
    ports: Mapping[str, int]  # by those of the documentation
    processes: ExitStack = field(default_factory=ExitStack)
    process: subprocess.Popen[bytes] | None = None

    def url(self, port: str) -> str:
        """The address of what the documentation has at a port."""
        return f"http://localhost:{self.ports[port]}"

    def start(self) -> None:
        if self.process is None:
            self.process = self.processes.enter_context(running(["make", "local"], self.folder))
            ready = f"{self.url('8002')}/health/ready"
            wait_until(lambda: requests.get(ready, timeout=5).ok, seconds=300)

    def follow(self, block: Block) -> None:
        """Run it, and see that it says what the page shows; what only asks may ask again."""
        if block.code == "make local":
            self.start()
            return
        code, until = move(block.code, self.ports), time.monotonic() + SECONDS
        code = TRAINING.sub(r'\1\3 --only LinearDiscriminantAnalysis"', code)
        while True:
            done = run_block(code, self.folder)
            if done.returncode == 0 and says(done.stdout, block.shown):
                return
            is_over = CHANGES.search(code) or time.monotonic() > until
            assert not is_over, f"{code}\n{done.stdout}\nis not\n{block.shown}"


def move(command: str, ports: Mapping[str, int]) -> str:
    """The same with the ports that there are here."""
    return re.sub(r"(?<=localhost:)\d{4}\b", lambda port: str(ports[port[0]]), command)


def run_block(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Its output is all that a terminal would show."""
    return run("bash", "-euo", "pipefail", "-c", f"exec 2>&1\n{command}", folder=folder)


def says(output: str, shown: str) -> bool:
    """Whether the lines that are shown come in the output, in that order; … is anything."""
    lines = iter(output.splitlines())
    for expected in filter(str.strip, shown.splitlines()):
        pattern = ".*".join(map(re.escape, expected.strip().split("…")))
        if not any(re.fullmatch(pattern, line.strip()) for line in lines):
            return False
    return True


@contextmanager
def made_stack(folder: Path, models_dir: Path | None = None) -> Iterator[Stack]:
    """A stack to start; models come with the database and the programs that save time."""
    copy_tree(folder)
    if models_dir:
        shutil.copytree(models_dir, folder / "models", dirs_exist_ok=True)
        give_database(folder / "mlflow/mlruns")
        _link_environment(folder / ".venv")
    else:
        (folder / ".venv").symlink_to(ROOT / ".venv")
    os.utime(folder / "requirements-dev.txt", (0, 0))  # or make would install it again
    ports = {name: find_free_port() for name in PORTS}
    settings = {**ports, "COMPOSE_PROJECT_NAME": f"iris-ml-guides-{os.getpid()}"}
    (folder / ".env").write_text("".join(f"{name}={it}\n" for name, it in settings.items()))
    stack = Stack(folder, {PORTS[name]: port for name, port in ports.items()})
    with stack.processes:
        yield stack


def _link_environment(folder: Path) -> None:
    """The tests' own, with the programs that start warm."""
    shutil.copytree(warm.make_programs("trainer", "backend", "page"), folder / "bin")
    for program in (ROOT / ".venv/bin").iterdir():
        if not (folder / "bin" / program.name).exists():
            (folder / "bin" / program.name).symlink_to(program)
    (folder / "installed").touch()


def list_files() -> list[str]:
    """The names of what a fresh clone of the working tree holds."""
    git = ("git", "-c", f"safe.directory={ROOT}", "ls-files", "-coz", "--exclude-standard")
    return [name for name in read(*git).split("\0") if name and (ROOT / name).exists()]


def copy_tree(clone: Path) -> None:
    for name in list_files():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, clone / name)
