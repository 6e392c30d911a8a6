"""Stands in for `az` and the cloud behind it, and writes each call down."""

import json
import os
import sys
from pathlib import Path

import jmespath

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


class Cloud:
    """One call of `az` on what the calls before it have made."""

    def __init__(self, folder):
        self.file = folder / "cloud.json"
        self.state = json.loads(self.file.read_text())

    def save(self):
        self.file.write_text(json.dumps(self.state))

    def answer(self, command, options):
        """What az would answer, before its --query; None where there is no such thing."""
        if not self.state["login"]:
            return None
        words = " ".join(command)
        if words in ANSWERS:
            return ANSWERS[words]
        if words == "rest":
            return self.ask_api(options["method"], options["url"], options.get("body"))
        if command[0] == "provider":
            return self.register(command[1], options["namespace"])
        if command[0] == "role":
            return self.assign(command[2], options)
        return self.keep(" ".join(command[:-1]), command[-1], options)

    def register(self, verb, name):
        if verb == "register":
            self.state["providers"].append(name)
        registered = name in self.state["providers"]
        return {"registrationState": "Registered" if registered else "NotRegistered"}

    def assign(self, verb, options):
        if verb == "create":
            self.state["roles"].append({"id": f"{options['role']} {options['scope']}"})
        return self.state["roles"]

    def keep(self, kind, verb, options):
        """What has a name, is made by one verb, shown by another, and deleted."""
        made, names = self.state["made"], ("storage-name", "workspace-name", "name")
        key = f"{kind} {next(options[it] for it in names if it in options)}"
        if verb == "exists":
            return key in made
        if verb == "delete":
            made.pop(key, None)
        elif verb != "show":
            tags = dict([options["tags"].split("=")]) if "tags" in options else {}
            subject = {"subject": options.get("subject")}
            made[key] = FACTS.get(kind, {}) | subject | {"tags": tags}
        return made.get(key) if verb == "show" else {}

    def ask_api(self, method, url, body):
        """Container apps, as the API has them: each PUT of another body is another revision."""
        kind, *path = url.partition("Microsoft.App/")[2].partition("?")[0].split("/")
        if kind == "managedEnvironments":
            return ENVIRONMENT
        if not path:
            return {"value": [{"name": name} for name in self.state["apps"]]}
        if method == "put":
            return self.put(path[0], json.loads(Path(body.removeprefix("@")).read_text()))
        app = self.state["apps"][path[0]]
        if path[-1] in ("activate", "deactivate"):
            app["active"] = path[-1] == "activate"
        if path[-1] == "listSecrets":
            return {"value": app["body"]["properties"]["configuration"]["secrets"]}
        if "revisions" in path:
            replicas = {"replicas": 1} if app["active"] else {}
            return {"properties": {"active": app["active"], **replicas}}
        return self.describe(path[0], app)

    def put(self, name, body):
        if name in self.state["refusing"]:
            return None
        before = self.state["apps"].get(name, {"number": 0, "body": None})
        number = before["number"] + (before["body"] != body)
        active = before["body"] != body or before["active"]
        self.state["apps"][name] = {"body": body, "number": number, "active": active}
        return {}

    def describe(self, name, app):
        """Asked a second time it is ready, where it will ever be."""
        revision = f"{name}--{app['number']:07}"
        before, app["ready"] = app.get("ready"), revision
        state = "Failed" if name in self.state["failing"] else "Succeeded"
        properties = {
            "provisioningState": state,
            "latestRevisionName": revision,
            "latestReadyRevisionName": before,
        }
        return {"name": name, "tags": app["body"]["tags"], "properties": properties}


def parse(arguments):
    """The words of the command, and its options with their values."""
    first = next((at for at, it in enumerate(arguments) if it.startswith("--")), len(arguments))
    command, options = arguments[:first], {}
    for argument in arguments[first:]:
        if argument.startswith("--"):
            name = argument.removeprefix("--")
            options[name] = ""
        else:
            options[name] = f"{options[name]} {argument}".strip()
    return command, options


def say(value):
    """As `--output tsv` does: a line for each item, and none for nothing."""
    if value is None or isinstance(value, bool):
        value = [] if value is None else str(value).lower()
    for row in value if isinstance(value, list) else [value]:
        print("\t".join(map(str, row)) if isinstance(row, list) else str(row))


def write_down(call, folder):
    logs = (folder / "calls.jsonl", os.environ.get("AZ_CALLS"))
    for log in filter(None, logs):
        with Path(log).open("a") as file:
            file.write(json.dumps(call) + "\n")


def main():
    folder, arguments = Path(os.environ["CLOUD"]), sys.argv[1:]
    command, options = parse(arguments)
    call = {"arguments": arguments}
    if "@-" in arguments:
        call["input"] = sys.stdin.read()
    if options.get("body", "").startswith("@"):
        call["body"] = json.loads(Path(options["body"].removeprefix("@")).read_text())
    write_down(call, folder)
    cloud = Cloud(folder)
    answer = cloud.answer(command, options)
    cloud.save()
    if answer is None:
        sys.exit(ABSENT)
    if options.get("output") != "none":
        say(jmespath.search(options["query"], answer) if "query" in options else answer)


if __name__ == "__main__":
    main()
