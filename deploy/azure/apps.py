"""Prints the body of a container app, as Azure's API takes it: apps.py mlflow|backend|frontend."""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Settings = Mapping[str, str]
Json = dict[str, Any]

# On a share every file belongs to whom its mount says: the images' user. SQLite's locks do not
# work there, so they stay in the container (nobrl), and there is one MLflow at a time. What is new
# on it is seen within a second.
MOUNT = "uid=10001,gid=10001,dir_mode=0700,file_mode=0600,nobrl,actimeo=1"


@dataclass(frozen=True)
class App:
    """What is different from one app to the next."""

    name: str
    port: int
    live: str
    ready: str
    public: bool
    cores: float  # with twice as many gigabytes, as Azure has it
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    secret_environment: Mapping[str, str]  # which variable has which secret
    volumes: Mapping[str, Json] = field(default_factory=dict)  # by where they are mounted
    most_replicas: int = 1
    command: tuple[str, ...] = ()


def describe_backend(settings: Settings) -> App:
    return App(
        name="backend",
        port=8002,
        live="/health/live",
        # With a model only: a new revision gets no request before it can answer one.
        ready="/health/ready",
        public=settings["BACKEND_PUBLIC"] == "yes",
        cores=0.5,
        environment={"MODEL_TRUST": "signed", "LOG_FORMAT": "json"},
        secrets={
            "api-key": settings["API_KEY"],
            "journal-url": settings["JOURNAL_URL"],
            "model-public-key": settings["MODEL_PUBLIC_KEY"],
        },
        secret_environment={"API_KEY": "api-key", "JOURNAL_URL": "journal-url"},
        volumes={
            "/models": make_share("models-to-read"),
            "/journal": {"name": "journal", "storageType": "EmptyDir"},
            "/keys": make_secret_file("model-public-key", "model_public_key.pem"),
        },
        most_replicas=int(settings["BACKEND_REPLICAS"]),
    )


def describe_frontend(settings: Settings) -> App:
    return App(
        name="frontend",
        port=8001,
        live="/_stcore/health",
        ready="/_stcore/health",
        public=True,
        cores=0.5,
        environment={
            "BACKEND_URL": find_url(settings, "backend"),
            "MLFLOW_UI_URL": find_ui_url(settings),
        },
        secrets={"api-key": settings["API_KEY"]},
        secret_environment={"API_KEY": "api-key"},
    )


def describe_mlflow(settings: Settings) -> App:
    command = "/app/start.sh --host 0.0.0.0 --port 8003 --app-name basic-auth"
    return App(
        name="mlflow",
        port=8003,
        live="/health",
        ready="/health",
        public=settings["MLFLOW_PUBLIC"] == "yes",
        cores=float(settings["MLFLOW_CORES"]),
        environment=choose_for_mlflow(settings),
        secrets={
            "api-key": settings["API_KEY"],
            "mlflow-password": settings["MLFLOW_ADMIN_PASSWORD"],
            "mlflow-session-key": settings["MLFLOW_FLASK_SERVER_SECRET_KEY"],
            "mlflow-store": settings["MLFLOW_BACKEND_STORE_URI"],
            "mlflow-login": settings["MLFLOW_LOGIN"],
            "model-signing-key": settings["MODEL_SIGNING_KEY"],
        },
        secret_environment={
            "API_KEY": "api-key",
            "MLFLOW_BACKEND_STORE_URI": "mlflow-store",
            "MLFLOW_AUTH_ADMIN_PASSWORD": "mlflow-password",
            "MLFLOW_TRACKING_PASSWORD": "mlflow-password",
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "mlflow-session-key",
        },
        volumes=mount_for_mlflow(),
        command=tuple(command.split()),
    )


def choose_for_mlflow(settings: Settings) -> dict[str, str]:
    url = find_url(settings, "mlflow")
    return {
        "MLFLOW_TRACKING_URI": "http://localhost:8003",
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_UI_URL": find_ui_url(settings),
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"localhost:*,127.0.0.1:*,{url.removeprefix('https://')}",
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": url,
        "MLFLOW_AUTH_CONFIG_PATH": "/auth/basic_auth.ini",
        "BACKEND_URL": find_url(settings, "backend"),
        "DATASET": settings["DATASET"],
        "TARGET": settings["TARGET"],
    }


def mount_for_mlflow() -> dict[str, Json]:
    return {
        "/models": make_share("models"),
        "/app/mlruns": make_share("runs"),
        "/app/data": make_share("data"),
        "/keys": make_secret_file("model-signing-key", "model_signing_key.pem"),
        "/auth": make_secret_file("mlflow-login", "basic_auth.ini"),
    }


def make_share(name: str) -> Json:
    return {"name": name, "storageType": "AzureFile", "storageName": name, "mountOptions": MOUNT}


def make_secret_file(secret: str, path: str) -> Json:
    item = {"secretRef": secret, "path": path}
    return {"name": f"file-of-{secret}", "storageType": "Secret", "secrets": [item]}


def find_url(settings: Settings, name: str) -> str:
    """Where an app is found; over TLS also within the environment."""
    public = settings[f"{name.upper()}_PUBLIC"] == "yes"
    return f"https://{name}{'' if public else '.internal'}.{settings['DOMAIN']}"


def find_ui_url(settings: Settings) -> str:
    """Where a browser finds MLflow, or that none does."""
    return find_url(settings, "mlflow") if settings["MLFLOW_PUBLIC"] == "yes" else "none"


def make_body(app: App, settings: Settings) -> Json:
    """All of the app, with a checksum: with another one it is a new revision, so that what runs
    has the secrets that are new, too."""
    container = make_container(app, f"{settings['IMAGES']}/{app.name}:{settings['TAG']}")
    body: Json = {
        "location": settings["LOCATION"],
        "properties": {
            "environmentId": settings["ENVIRONMENT_ID"],
            "workloadProfileName": "Consumption",
            "configuration": {
                "activeRevisionsMode": "Single",
                "ingress": make_ingress(app, settings["ALLOWED_ADDRESSES"]),
                "secrets": [{"name": name, "value": it} for name, it in app.secrets.items()],
            },
            "template": {
                "containers": [container],
                "scale": make_scale(app.most_replicas),
                "volumes": list(app.volumes.values()),
                "terminationGracePeriodSeconds": 30,
            },
        },
    }
    checksum = hashlib.sha256(json.dumps(body).encode()).hexdigest()
    container["env"].append({"name": "CONFIGURATION", "value": checksum})
    return {**body, "tags": {"configuration": checksum}}


def make_container(app: App, image: str) -> Json:
    paths = {path: volume["name"] for path, volume in app.volumes.items()}
    return {
        "name": app.name,
        "image": image,
        "env": [
            *({"name": name, "value": value} for name, value in app.environment.items()),
            *({"name": name, "secretRef": it} for name, it in app.secret_environment.items()),
        ],
        "resources": {"cpu": app.cores, "memory": f"{2 * app.cores:g}Gi"},
        "volumeMounts": [{"mountPath": path, "volumeName": it} for path, it in paths.items()],
        "probes": make_probes(app),
        **({"command": list(app.command)} if app.command else {}),
    }


def make_probes(app: App) -> list[Json]:
    """A start may take five minutes, and MLflow's ten, as it may have tables to change.

    Later, three looks in vain within half a minute restart it.
    """
    return [
        {
            "type": kind,
            "httpGet": {"path": path, "port": app.port, "scheme": "HTTP"},
            "periodSeconds": seconds,
            "failureThreshold": tries,
            "timeoutSeconds": 5,
        }
        for kind, path, seconds, tries in (
            ("Startup", app.live, 60 if app.name == "mlflow" else 30, 10),
            ("Liveness", app.live, 10, 3),
            ("Readiness", app.ready, 5, 3),
        )
    ]


def make_ingress(app: App, allowed: str) -> Json:
    """Within the environment alone or for all; if there are addresses that may ask, for those."""
    ranges = allowed.replace(",", " ").split() if app.public else []
    return {
        "external": app.public,
        "targetPort": app.port,
        "transport": "auto",
        "allowInsecure": False,
        "stickySessions": {"affinity": "sticky" if app.name == "frontend" else "none"},
        "ipSecurityRestrictions": [
            {"name": f"allowed-{number}", "ipAddressRange": it, "action": "Allow"}
            for number, it in enumerate(ranges, 1)
        ],
    }


def make_scale(most: int) -> Json:
    """Never none, as the first caller would wait for its start; more where each has much to do."""
    busy = {"name": "busy", "http": {"metadata": {"concurrentRequests": "100"}}}
    return {"minReplicas": 1, "maxReplicas": most, "rules": [busy]}


APPS = {"mlflow": describe_mlflow, "backend": describe_backend, "frontend": describe_frontend}

if __name__ == "__main__":
    described = APPS[sys.argv[1]](os.environ)
    json.dump(make_body(described, os.environ), sys.stdout, indent=2)
