"""Writes MLServer's settings of a model: `mlserver_settings.py ROWS`, which may share a call."""

import json
import sys
from pathlib import Path

settings = {
    "name": "iris",
    "implementation": "mlserver_sklearn.SKLearnModel",
    "parameters": {"uri": "./model.joblib"},
    "max_batch_size": int(sys.argv[1]),
    "max_batch_time": 0.01,  # seconds
}
Path("model-settings.json").write_text(json.dumps(settings))
