"""LitServe's server: `litserve_server.py PORT ROWS`, where ROWS is how many may share a call."""

import sys

import joblib
import litserve
import numpy as np
from iris import Iris


class IrisAPI(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002 LitServe gives it
        self.model = joblib.load("model.joblib")

    def decode_request(self, request: Iris) -> np.ndarray:
        return np.array(list(request.model_dump().values()))

    def predict(self, X: np.ndarray) -> np.ndarray:
        """One row is of shape (4,); several that LitServe stacks are of shape (n, 4)."""
        return self.model.predict_proba(X.reshape(-1, 4))

    def encode_response(self, output: np.ndarray) -> dict[str, float]:
        return dict(zip(self.model.classes_.tolist(), output.ravel().tolist(), strict=True))


if __name__ == "__main__":
    port, rows = map(int, sys.argv[1:])
    api = IrisAPI(max_batch_size=rows, batch_timeout=0.01 if rows > 1 else 0.0)
    litserve.LitServer(api, accelerator="cpu", devices=1, workers_per_device=1).run(
        "127.0.0.1", port, num_api_servers=1, log_level="error", generate_client_file=False
    )
