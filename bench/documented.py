"""Runs benchmarks, prints what they print, and puts it where the documentation shows it.

python bench/documented.py serving anatomy "soak --minutes 10"
"""

import re
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parent
PAGES = ("performance.md", "scaling.md")


def run(name: str, *options: str) -> str:
    """What the script says, line by line as it says it."""
    said = []
    command = [sys.executable, str(BENCH / f"{name}.py"), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            said.append(line)
    return "".join(said) if process.returncode == 0 else ""


def document(name: str, text: str) -> None:
    """Between the comments that have the script's name; nothing where it failed."""
    section = re.compile(rf"(<!-- bench/{name}\.py -->\n).*?(<!-- end -->)", re.DOTALL)
    for path in (BENCH.parent / "docs" / page for page in PAGES):
        page = path.read_text()
        if text and section.search(page):
            path.write_text(section.sub(lambda it: f"{it[1]}\n{text.strip()}\n\n{it[2]}", page))


if __name__ == "__main__":
    for script in sys.argv[1:]:
        name, *options = script.split()
        document(name, run(name, *options))
