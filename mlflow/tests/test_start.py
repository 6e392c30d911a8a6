import os
import signal
import sys
from pathlib import Path

import requests
from processes import find_free_port, running, running_mlflow, wait_until


def test_a_server_killed_while_it_makes_its_database_starts_again(published, tmp_path):
    variables = {
        "MODELS_DIR": published.models_dir,
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "MLFLOW_ARTIFACTS_DESTINATION": tmp_path / "artifacts",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    command = ["sh", "start.sh", "--port", str(find_free_port())]
    with running(command, "mlflow", **variables) as server:
        wait_until((tmp_path / "mlflow.db.new").exists)
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    assert not (tmp_path / "mlflow.db").exists()

    with running_mlflow(published.models_dir, tmp_path) as url:
        search = f"{url}/api/2.0/mlflow/experiments/search"
        assert requests.post(search, json={"max_results": 1}).ok
