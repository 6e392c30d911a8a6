"""Runs scripts, prints what they print, and puts it where the documentation shows it.

python bench/documented.py bench/anatomy.py "tests/soak/soak.py --minutes 10"
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = ("performance.md", "scaling.md")


def run(script: str, *options: str) -> str:
    """Return what the script prints, and print each line as it comes; nothing if it failed."""
    said = []
    command = [sys.executable, str(ROOT / script), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            print(line, end="", flush=True)
            said.append(line)
    return "" if process.returncode else "".join(said)


def document(script: str, text: str) -> None:
    """Put the text between the comments that name the script."""
    section = re.compile(rf"(<!-- {re.escape(script)} -->\n).*?(<!-- end -->)", re.DOTALL)
    for path in (ROOT / "docs" / page for page in PAGES):
        page = path.read_text()
        if text and section.search(page):
            shown = section.sub(lambda found: f"{found[1]}\n{text.strip()}\n\n{found[2]}", page)
            path.write_text(shown)


if __name__ == "__main__":
    for command in sys.argv[1:]:
        script, *options = command.split()
        document(script, run(script, *options))
