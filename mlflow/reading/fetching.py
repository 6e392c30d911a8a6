"""Fetches a table from a path or a URL."""

import importlib
import io
from pathlib import Path
from typing import IO

import requests

from errors import UnusableTable, hide_secrets

IRIS = "iris"  # the table that is built in
TIMEOUTS = (3.05, 60.0)  # seconds to connect, and between two pieces of the answer


def fetch(source: str) -> IO[bytes]:
    """Open a local file, or what a URL holds; raises UnusableTable."""
    shown = hide_secrets(source)
    try:
        if "://" not in source:
            return Path(source).open("rb")
        if not source.startswith(("http://", "https://")):
            return _fetch_by_fsspec(source)
        answer = requests.get(source, timeout=TIMEOUTS)
    except FileNotFoundError:
        advice = "In the container, the files of the folder data/ are data/…"
        raise UnusableTable(f"There is no file {shown}. {advice}.") from None
    except (requests.ConnectionError, requests.Timeout):
        raise UnusableTable(f"{shown} does not answer. Check the address.") from None
    except (OSError, ValueError) as error:  # other ones of requests are OSErrors too
        raise UnusableTable(f"{shown} cannot be read: {str(error).strip().rstrip('.')}.") from None
    if not answer.ok:
        raise UnusableTable(f"{shown} answers {answer.status_code}. Check the address.")
    return io.BytesIO(answer.content)


def _fetch_by_fsspec(source: str) -> IO[bytes]:
    scheme = source.partition("://")[0]
    try:
        fsspec = importlib.import_module("fsspec")  # not bundled
        with fsspec.open(source, "rb") as file:
            return io.BytesIO(file.read())
    except ImportError:
        message = f"{scheme}:// needs fsspec and its package for {scheme}; install both with pip"
        raise UnusableTable(f"{hide_secrets(source)} cannot be read: {message}.") from None
