"""Reads the documentation as a reader would, and what it is to say."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
RUNNABLE = ("bash", "python", "javascript", "r")


class Block(NamedTuple):
    """A command or program on a page, and the output that the page shows."""

    language: str
    code: str
    shown: str


def read_blocks(name: str) -> list[Block]:
    """A page's blocks that can be run, in order, each with what is shown right below it."""
    blocks: list[Block] = []
    page, end = (ROOT / name).read_text(), 0
    for fence in FENCE.finditer(page):
        _, language, text = fence.groups()
        if language in RUNNABLE:
            blocks.append(Block(language, dedent(text).strip(), ""))
            end = fence.end()
        elif not language and blocks and not page[end : fence.start()].strip():
            blocks[-1] = blocks[-1]._replace(shown=text)
    return blocks


def read_commands(name: str) -> list[str]:
    """The commands in a page's bash blocks, in order."""
    return [block.code for block in read_blocks(name) if block.language == "bash"]


def find_command(name: str, start: str) -> str:
    """The first command of a page that starts like this."""
    return next(command for command in read_commands(name) if command.startswith(start))


def documented(page: str, heading: str = "") -> set[str]:
    """Return what starts the table rows in backticks, on a page or below one heading."""
    text = (ROOT / page).read_text()
    if heading:
        text = text.partition(heading)[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)`", text, re.MULTILINE))


def find_all(tree: Any, key: str) -> list[Any]:
    """Every value that has this key, however deep, or the items of those that are lists."""
    if isinstance(tree, list):
        return [found for it in tree for found in find_all(it, key)]
    if not isinstance(tree, dict):
        return []
    own = tree.get(key, [])
    return [*(own if isinstance(own, list) else [own]), *find_all([*tree.values()], key)]


def list_modules(*services: str) -> list[Path]:
    """Every module of these services, but for their tests."""
    found = (path for service in services for path in sorted((ROOT / service).rglob("*.py")))
    return [path for path in found if "tests" not in path.parts]


def read_constant(name: str) -> int:
    """A whole number that some module of the backend or the trainer has under this name."""
    sources = "\n".join(path.read_text() for path in list_modules("mlflow", "backend"))
    [value] = re.findall(rf"^{name} = (\d+)", sources, re.MULTILINE)
    return int(value)


def find_refusals(path: Path) -> Iterator[str]:
    """The first sentence of each refusal of a table in a module, as a regular expression."""
    module = ast.parse(path.read_text())
    statements = [node for node in ast.walk(module) if isinstance(node, ast.stmt)]
    known: dict[str, ast.expr] = {}  # the constants, and what was last given each name
    for node in [*module.body, *sorted(statements, key=lambda it: it.lineno)]:
        match node:
            case ast.Assign([ast.Name(variable)], value):
                known[variable] = value
            case ast.Raise(ast.Call(ast.Name("UnusableTable" | "LeftOut"), [said])):
                sentence = re.split(r"\. |\.$", _text(said, known))[0]
                yield ".+".join(map(re.escape, sentence.split("…")))


def _text(node: ast.AST, known: dict[str, ast.expr]) -> str:
    """Return an expression's text, with … for values known only when it runs."""
    match node:
        case ast.Constant(value):
            return str(value)
        case ast.JoinedStr(parts):
            return "".join(_text(part, known) for part in parts)
        case ast.FormattedValue(ast.Name(name)) | ast.Name(name) if name in known:
            return _text(known[name], known)
        case ast.Call(ast.Attribute(), [ast.List([first, *_])]):  # " ".join([…])
            return _text(first, known)
        case ast.Call(ast.Attribute(ast.Call() | ast.JoinedStr() as text)):  # f"…".strip()
            return _text(text, known)
    return "…"
