"""Stands in for `az` and the cloud behind it, and writes each call down."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import jmespath

# Hands its arguments and its input to the test's process: no Python has to start for a call.
AZ = r"""
exec 3<>"/dev/tcp/127.0.0.1/$CLOUD_PORT"
case "$*" in *@-*) input=$(cat) ;; esac
printf '%s\n' $# >&3
printf '%s\0' "${input:-}" "$@" >&3
read -r status <&3
cat <&3
exit "$status" """
ABSENT = 3  # as az says it

ANSWERS = {
    "account show": {"id": "subscription", "tenantId": "tenant"},
    "storage account keys list": [{"value": "storage-key"}],
    "monitor log-analytics workspace get-shared-keys": {"primarySharedKey": "workspace-key"},
    "resource list": [],
}
FACTS = {
    "identity": {"principalId": "principal", "clientId": "client"},
    "monitor log-analytics workspace": {"customerId": "customer"},
}
ENVIRONMENT = {
    "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/managedEnvironments/iris-ml",
    "location": "West Europe",
    "properties": {"defaultDomain": "tame-sea-1.westeurope.azurecontainerapps.io"},
}


@dataclass
class Cloud:
    """All that was made, and what goes wrong."""

    login: bool = True
    providers: list[str] = field(default_factory=list)
    roles: list[dict[str, str]] = field(default_factory=list)
    made: dict[str, Any] = field(default_factory=dict)
    apps: dict[str, Any] = field(default_factory=dict)
    refusing: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()

    def answer(self, call):
        """Return what a call of az prints, or None if nothing has that name."""
        command, options = parse(call["arguments"])
        answer = self.find(command, options, call.get("body")) if self.login else None
        if answer is None or options.get("output") == "none":
            return None if answer is None else ""
        return say(jmespath.search(options["query"], answer) if "query" in options else answer)

    def find(self, command, options, body):
        """The answer before its --query."""
        words = " ".join(command)
        if words in ANSWERS:
            return ANSWERS[words]
        if words == "rest":
            return self.ask_api(options["method"], options["url"], body)
        if words == "provider register":
            self.providers.append(options["namespace"])
        if words == "role assignment create":
            self.roles.append({"id": f"{options['role']} {options['scope']}"})
        if command[0] == "provider":
            is_registered = options["namespace"] in self.providers
            return {"registrationState": "Registered" if is_registered else "NotRegistered"}
        if command[0] == "role":
            return self.roles
        return self.keep(" ".join(command[:-1]), command[-1], options)

    def keep(self, kind, verb, options):
        """Make, show or delete a thing that has a name."""
        names = ("storage-name", "workspace-name", "name")
        key = f"{kind} {next(options[it] for it in names if it in options)}"
        if verb == "exists":
            return key in self.made
        if verb == "delete":
            self.made.pop(key, None)
        elif verb != "show":
            tags = dict([options["tags"].split("=")]) if "tags" in options else {}
            self.made[key] = {"subject": options.get("subject"), "tags": tags} | FACTS.get(kind, {})
        return self.made.get(key) if verb == "show" else {}

    def ask_api(self, method, url, body):
        """Container apps, as the API has them: each PUT of another body is another revision."""
        kind, *path = find_path(url).split("/")
        if kind == "managedEnvironments":
            return ENVIRONMENT
        if not path:
            return {"value": [{"name": name} for name in self.apps]}
        if method == "put":
            return self.put(path[0], body)
        app = self.apps[path[0]]
        if path[-1] in ("activate", "deactivate"):
            app["active"] = path[-1] == "activate"
        if path[-1] == "listSecrets":
            return {"value": app["body"]["properties"]["configuration"]["secrets"]}
        if "revisions" in path:
            replicas = {"replicas": 1} if app["active"] else {}
            return {"properties": {"active": app["active"], **replicas}}
        return self.describe(path[0], app)

    def put(self, name, body):
        if name in self.refusing:
            return None
        before = self.apps.get(name, {"number": 0, "body": None})
        if before["body"] != body:
            self.apps[name] = {"body": body, "number": before["number"] + 1, "active": True}
        return {}

    def describe(self, name, app):
        """Asked a second time it is ready, if it ever will be."""
        revision = f"{name}--{app['number']:07}"
        before, app["ready"] = app.get("ready"), revision
        properties = {
            "provisioningState": "Failed" if name in self.failing else "Succeeded",
            "latestRevisionName": revision,
            "latestReadyRevisionName": before,
        }
        return {"name": name, "tags": app["body"]["tags"], "properties": properties}


def parse(arguments):
    """The words of the command, and its options with their values."""
    command, *options = "\0".join(arguments).split("\0--")
    pairs = (option.partition("\0") for option in options)
    return command.split("\0"), {name: value.replace("\0", " ") for name, _, value in pairs}


def find_path(url):
    """What a URL of the API names below its provider, such as containerApps/backend."""
    return url.partition("Microsoft.App/")[2].partition("?")[0]


def say(value):
    """As `--output tsv` does: a line for each item, and none for nothing."""
    if value is None or isinstance(value, bool):
        value = [] if value is None else str(value).lower()
    rows = value if isinstance(value, list) else [value]
    lines = ["\t".join(map(str, row)) if isinstance(row, list) else str(row) for row in rows]
    return "".join(f"{line}\n" for line in lines)


def read_call(stream):
    """Read what `AZ` sends: arguments, input, and the body in the file that an argument names."""
    count, content = int(stream.readline()) + 1, b""
    while content.count(b"\0") < count:
        content += stream.read1()
    given, *arguments = content.decode().split("\0")[:-1]
    call = {"arguments": arguments} | ({"input": given} if given else {})
    for file in (it.removeprefix("@") for it in arguments if it.startswith("@/")):
        call["body"] = json.loads(Path(file).read_text())
    return call


@contextmanager
def serving(cloud: Cloud) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """The port at which `AZ` finds the cloud, and the calls."""
    calls = []

    class Handler(StreamRequestHandler):
        def handle(self):
            calls.append(read_call(self.rfile))
            answer = cloud.answer(calls[-1])
            said = f"{ABSENT}\n" if answer is None else f"0\n{answer}"
            self.wfile.write(said.encode())

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield server.server_address[1], calls
        server.shutdown()
