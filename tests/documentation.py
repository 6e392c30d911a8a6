"""Reads the documentation as a reader would."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def read_commands(name: str) -> list[str]:
    """The commands in a page's bash blocks, in order."""
    blocks = re.findall(r"^```bash\n(.*?)^```", (ROOT / name).read_text(), re.DOTALL | re.MULTILINE)
    return [block.strip() for block in blocks]


def find_command(name: str, start: str) -> str:
    """The one command of a page that starts like this."""
    [command] = [command for command in read_commands(name) if command.startswith(start)]
    return command
