"""Prints the OpenAPI document of the real backend, with a small model of Iris live in it.

DESCRIBED_MODELS_DIR names a folder that has such a model; without it, one is trained.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 120  # for the model to go live, on a busy machine
sys.path.insert(0, str(ROOT / "backend"))
logging.disable()  # what it says is for whoever runs a server

from fastapi.testclient import TestClient  # noqa: E402

from main import create_app  # noqa: E402
from settings import Settings  # noqa: E402


def train(folder: Path) -> None:
    """The simplest candidate is enough: the schema is the same with any of them."""
    variables = {
        "MODELS_DIR": folder,
        "UNSENT_RUNS_DIR": folder / "unsent",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:1",  # nobody has to keep this training
    }
    command = [sys.executable, ROOT / "mlflow/metrics.py", "--budget", "0.001"]
    environment = os.environ | {name: str(value) for name, value in variables.items()}
    subprocess.run(command, env=environment, cwd=folder, check=True, stdout=sys.stderr)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        models_dir = Path(os.environ.get("DESCRIBED_MODELS_DIR", folder))
        if models_dir == Path(folder):
            train(models_dir)
        journal = f"sqlite:///{folder}/journal.db"
        app = create_app(Settings(models_dir=models_dir, journal_url=journal))
        with TestClient(app) as client:
            deadline = time.monotonic() + SECONDS
            while not (ready := client.get("/health/ready")).is_success:
                if time.monotonic() > deadline:
                    sys.exit(ready.text)  # which says why
                time.sleep(0.1)
            document = client.get("/openapi.json").json()
    json.dump(document, sys.stdout)


if __name__ == "__main__":
    main()
