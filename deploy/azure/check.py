"""Says which calls of `az` its own parser would not take, or which bodies the models of its API."""

import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

from azure.cli.command_modules.containerapp import _sdk_models as models
from azure.cli.core import get_default_cli
from knack.events import EVENT_INVOKER_POST_PARSE_ARGS

PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
}


class Parsed(Exception):
    """The command line has taken all arguments, and would now ask the cloud."""


def stop(*_: Any, **__: Any) -> None:
    raise Parsed


def is_parsed(arguments: list[str]) -> bool:
    """Whether the command and its arguments exist; the parser itself says what does not."""
    cli = get_default_cli()
    cli.register_event(EVENT_INVOKER_POST_PARSE_ARGS, stop)
    cli.invocation = cli.invocation_cls(
        cli_ctx=cli,
        parser_cls=cli.parser_cls,
        commands_loader_cls=cli.commands_loader_cls,
        help_cls=cli.help_cls,
    )
    try:
        cli.invocation.execute(arguments)
    except Parsed:
        return True
    except SystemExit:
        return False
    return False


def find_faults(value: Any, kind: str, where: str) -> list[str]:
    """The keys that a model does not have, and the values that it would not take."""
    if kind.startswith("["):
        items = enumerate(value)
        return [it for at, item in items for it in find_faults(item, kind[1:-1], f"{where}[{at}]")]
    if kind.startswith("{"):
        return [it for key in value for it in find_faults(value[key], kind[1:-1], f"{where}.{key}")]
    if kind in PLAIN:
        return [] if isinstance(value, PLAIN[kind]) else [f"{where}: {value!r} is no {kind}"]
    # What is a plain text has a model of the values it may have.
    known = {
        it["key"].split(".")[-1]: it["type"] for it in getattr(models, kind)._attribute_map.values()
    }
    faults = [f"{where}.{key}: {kind} has no such key" for key in value.keys() - known.keys()]
    for key in value.keys() & known.keys():
        faults += find_faults(value[key], known[key], f"{where}.{key}")
    return faults


def find_faults_of_app(body: dict[str, Any]) -> list[str]:
    """As above; the model has an app's properties beside its name."""
    app = {key: value for key, value in body.items() if key != "properties"} | body["properties"]
    name = body["properties"]["template"]["containers"][0]["name"]
    return find_faults(app, "ContainerApp", name)


def read_documented(page: Path) -> list[list[str]]:
    """The calls in a page, whether in a block of their own or within a sentence."""
    text = page.read_text().replace("\\\n", " ")
    lines = re.findall(r"^az .+", text, re.MULTILINE) + re.findall(r"`(az [^`]+ --[^`]+)`", text)
    return [shlex.split(line)[1:] for line in lines]


def main() -> int:
    calls = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    asked = [call["arguments"] for call in calls] + read_documented(Path(sys.argv[2]))
    # The values of a file or of standard input are read while parsing.
    distinct = {json.dumps(arguments).replace('"@', '"at '): None for arguments in asked}
    bodies = [call["body"] for call in calls if "body" in call]
    refused = [it for it in distinct if not is_parsed(json.loads(it))]
    faults = sorted({fault for body in bodies for fault in find_faults_of_app(body)})
    print("\n".join([*refused, *faults]), end="\n" if refused or faults else "")
    print(
        f"{len(distinct)} calls: {len(refused)} refused. {len(bodies)} apps: {len(faults)} faults."
    )
    return 1 if refused or faults else 0


if __name__ == "__main__":
    os.environ["AZURE_CORE_NO_COLOR"] = "yes"
    sys.exit(main())
