"""Speaks to the backend."""

import os
from contextlib import suppress
from typing import Any

import requests

import texts

TIMEOUTS = (3.05, 30.0)  # seconds to connect, to read; just over TCP's first retry


class BackendError(Exception):
    """The backend refused; `detail` is a sentence for the reader of the page."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class BackendAway(BackendError):
    """The backend does not answer, or not yet: asking again later helps."""


class BackendClient:
    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def live_manifest(self) -> dict[str, Any]:
        """The manifest of the model that answers; raises BackendError."""
        manifest: dict[str, Any] = self._call("GET", "/models/live")["manifest"]
        return manifest

    def predict(self, instance: dict[str, Any]) -> dict[str, Any]:
        """Raises BackendError."""
        return self._call("POST", "/predict", json=instance)

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            answer = requests.request(method, self._url + path, timeout=TIMEOUTS, **options)
        except requests.RequestException:
            raise BackendAway(texts.BACKEND_AWAY) from None
        body = _read_object(answer)
        if answer.ok:
            return body
        detail = body.get("detail", texts.BACKEND_STRANGE)
        if answer.status_code == requests.codes.service_unavailable:
            raise BackendAway(detail)
        raise BackendError(detail)


def _read_object(answer: requests.Response) -> dict[str, Any]:
    """Raises BackendAway where something else answers in the backend's place."""
    with suppress(requests.JSONDecodeError):
        body = answer.json()
        if isinstance(body, dict):
            return body
    raise BackendAway(texts.BACKEND_STRANGE)


def connect() -> BackendClient:
    return BackendClient(os.environ.get("BACKEND_URL", "http://backend:8002"))
