"""Starts the backend: the image, `make local`, tests and benchmarks all call this.

python serve.py [uvicorn options; the last one given counts]
"""

import sys
from pathlib import Path

from uvicorn.main import main

DRAIN_SECONDS = 10  # for requests that are being answered when the service stops
OPTIONS = (
    "main:app",
    *("--http", "web.connections:Connection", "--ws", "none"),
    *("--timeout-keep-alive", "75", "--timeout-graceful-shutdown", str(DRAIN_SECONDS)),
    *("--no-access-log", "--no-server-header"),
    *("--log-config", str(Path(__file__).with_name("log_config.json"))),
)

if __name__ == "__main__":
    main([*OPTIONS, *sys.argv[1:]])
