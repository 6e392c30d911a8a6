"""Speaks to the backend."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, NamedTuple

import pyarrow as pa
import requests
import streamlit as st
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

import texts

CONNECT_SECONDS = 3.05  # just over TCP's first retry
LOOK_SECONDS = 5.0
PREDICT_SECONDS = 30.0
PREVIEW_SECONDS = 60.0
BATCH_SECONDS = 600.0  # the backend itself takes an upload for five minutes, and eight may wait

CLASS_COLUMN = "prediction_class"  # unless the table has one of that name
ARROW = "application/vnd.apache.arrow.stream"

Json = dict[str, Any]


class BackendError(Exception):
    """The backend refused; `said` is why, in its words, and empty where it said nothing.

    `faults` are those it names, of a table with row and column.
    """

    def __init__(self, sentence: texts.Sentence, problem: Json | None = None) -> None:
        super().__init__(sentence.en)
        self._sentence = sentence
        self.said = str((problem or {}).get("detail", ""))
        self.faults: list[Json] = (problem or {}).get("errors") or []

    @property
    def detail(self) -> str:
        """For the reader of the page, in the language they have by then."""
        return self._sentence(detail=self.said)


class BackendAway(BackendError):
    """The backend does not answer, or not yet: asking again later helps."""


class NotOffered(BackendError):
    """There is no such route, or no such version, at this backend."""


class AnsweredTable(NamedTuple):
    """The table with its predictions, a batch of rows after the other as they come."""

    reader: pa.RecordBatchReader
    class_column: str
    warnings: Json  # by column, the rows of each kind


class BackendClient:
    """Every call raises BackendError, and of it what is said above."""

    def __init__(self, url: str, key: str = "") -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        # Nothing of the environment: no proxy may come between two services of one machine.
        self._session.trust_env = False
        if key:
            self._session.headers["X-API-Key"] = key
        # Once more where no connection came about: then nothing has been sent.
        once = Retry(connect=1, read=0, redirect=0, other=0, respect_retry_after_header=False)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=once, pool_maxsize=32))

    def live_version(self) -> str:
        version: str = self._ask("GET", "/health/ready")["model_version"]
        return version

    def model(self, version: str) -> Json:
        """What is known of a version, its manifest included."""
        return self._ask("GET", f"/models/{version}")

    def live_model(self) -> Json:
        return self._ask("GET", "/models/live")

    def models(self) -> list[Json]:
        """Newest first, without manifests."""
        models: list[Json] = self._ask("GET", "/models")["models"]
        return models

    def predict(self, instance: Json, version: str | None = None) -> Json:
        chosen = {"version": version} if version else {}
        return self._ask("POST", "/predict", PREDICT_SECONDS, json=instance, params=chosen)

    def explain(self, instance: Json, version: str, vary: str | None = None) -> Json:
        """With the probabilities along one feature where `vary` names it."""
        chosen = {"version": version} | ({"vary": vary} if vary else {})
        return self._ask("POST", "/explain", PREDICT_SECONDS, json=instance, params=chosen)

    def give_feedback(self, prediction_id: str, label: str) -> None:
        body = {"prediction_id": prediction_id, "label": label}
        self._ask("POST", "/feedback", json=body)

    def monitoring(self) -> Json:
        return self._ask("GET", "/monitoring")

    def routes(self) -> set[str]:
        return set(self._ask("GET", "/openapi.json")["paths"])

    def preview_batch(self, table: IO[bytes], media_type: str, sheet: str | None) -> Json:
        """What the backend reads in a table, or in a sheet of a workbook."""
        return self._ask(
            "POST",
            "/predict/batch/preview",
            PREVIEW_SECONDS,
            data=table,
            headers={"Content-Type": media_type},
            params={"sheet": sheet},
        )

    @contextmanager
    def predict_batch(
        self, table: IO[bytes], media_type: str, sheet: str | None = None
    ) -> Iterator[AnsweredTable]:
        headers = {"Content-Type": media_type, "Accept": ARROW}
        with (
            self._send(
                "POST",
                "/predict/batch",
                BATCH_SECONDS,
                data=table,
                headers=headers,
                params={"sheet": sheet},
                stream=True,
            ) as answer,
            _unbroken(),
        ):
            yield AnsweredTable(
                pa.ipc.open_stream(answer.raw),
                json.loads(answer.headers.get("X-Answer-Columns", f'["{CLASS_COLUMN}"]'))[0],
                json.loads(answer.headers.get("X-Warnings", "{}")),
            )

    def _ask(self, method: str, path: str, seconds: float = 0, **options: Any) -> Json:
        with self._send(method, path, seconds or LOOK_SECONDS, **options) as answer:
            return _read_object(answer)

    def _send(self, method: str, path: str, seconds: float, **options: Any) -> requests.Response:
        try:
            answer = self._session.request(
                method, self._url + path, timeout=(CONNECT_SECONDS, seconds), **options
            )
        except (requests.RequestException, HTTPError):
            raise BackendAway(texts.BACKEND_AWAY) from None
        if answer.ok:
            return answer
        with answer:
            raise _refusal(answer.status_code, _read_object(answer))


def _refusal(status: int, problem: Json) -> BackendError:
    if "detail" not in problem:
        return BackendAway(texts.BACKEND_STRANGE)
    if status == requests.codes.service_unavailable:
        return BackendAway(texts.BACKEND_NOT_READY, problem)
    if status in (requests.codes.unauthorized, requests.codes.forbidden):
        return BackendAway(texts.BACKEND_CLOSED)
    kind = NotOffered if status == requests.codes.not_found else BackendError
    return kind(texts.BACKEND_REFUSED, problem)


def _read_object(answer: requests.Response) -> Json:
    """Raises BackendAway where something else answers in the backend's place."""
    with suppress(requests.RequestException):
        body = answer.json()
        if isinstance(body, dict):
            return body
    raise BackendAway(texts.BACKEND_STRANGE)


@contextmanager
def _unbroken() -> Iterator[None]:
    try:
        yield
    except (HTTPError, pa.ArrowException, OSError, ValueError):
        raise BackendAway(texts.BACKEND_BROKE_OFF) from None


def connect() -> BackendClient:
    url = os.environ.get("BACKEND_URL", "http://backend:8002")
    return _connect(url, os.environ.get("API_KEY", "").partition(",")[0].strip())


@st.cache_resource(show_spinner=False)
def _connect(url: str, key: str) -> BackendClient:
    """One for all sessions, so that connections are used again."""
    return BackendClient(url, key)
