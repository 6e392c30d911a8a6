"""Reads from the backend which of its predictions have been labelled."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, NamedTuple

import requests

from addresses import hide_secrets
from errors import CommandFailed

PAGE_ROWS = 1000
TIMEOUTS = (3.05, 60.0)  # seconds to connect, and between two pieces of the answer


class FeedbackUnavailable(CommandFailed):
    """The backend does not tell its labelled predictions."""


class LabelledPrediction(NamedTuple):
    """The inputs as they were sent: numbers, booleans, texts, or None."""

    inputs: dict[str, Any]
    label: str


class _Page(NamedTuple):
    """`following` is what to ask the next page with, where there is one."""

    labelled: list[LabelledPrediction]
    following: str | None


def read_labelled(url: str, key: str, name: str) -> Iterator[LabelledPrediction]:
    """Those of all models of this name, oldest first; raises FeedbackUnavailable."""
    if not (key.isascii() and key.isprintable()):
        raise FeedbackUnavailable("API_KEY cannot be sent. Use letters and digits.")
    with requests.Session() as session:
        # Nothing of the environment: no proxy may come between two services of one machine.
        session.trust_env = False
        if key:
            session.headers["X-API-Key"] = key
        page = _read_page(session, url, name, after=None)
        yield from page.labelled
        while page.following is not None:
            page = _read_page(session, url, name, page.following)
            yield from page.labelled


def _read_page(session: requests.Session, url: str, name: str, after: str | None) -> _Page:
    answer = _ask(session, url, {"name": name, "after": after, "limit": str(PAGE_ROWS)})
    try:
        found = answer.json()
        page = _Page([_read_entry(it) for it in found["feedback"]], found["next"])
    except (ValueError, TypeError, KeyError):
        raise _odd(url) from None
    # What begins again would never end.
    if not isinstance(page.following, str | None) or page.following == (after or ""):
        raise _odd(url)
    return page


def _ask(session: requests.Session, url: str, params: dict[str, str | None]) -> requests.Response:
    address = f"{url.rstrip('/')}/feedback"
    try:
        # A redirection could lead the key elsewhere.
        answer = session.get(address, params=params, timeout=TIMEOUTS, allow_redirects=False)
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
        message = f"The backend does not answer at {hide_secrets(url)}"
        raise FeedbackUnavailable(f"{message}. Start it, or set BACKEND_URL.") from None
    except (requests.RequestException, ValueError):
        message = f"BACKEND_URL {hide_secrets(url)} cannot be asked"
        raise FeedbackUnavailable(f"{message}. Give it like http://localhost:8002.") from None
    _require_success(answer, hide_secrets(url))
    return answer


def _require_success(answer: requests.Response, shown: str) -> None:
    status = answer.status_code
    if status == HTTPStatus.UNAUTHORIZED:
        message = f"The backend at {shown} asks for a key"
        raise FeedbackUnavailable(f"{message}. Set API_KEY to one of those that it takes.")
    if status == HTTPStatus.NOT_FOUND:
        message = f"The backend at {shown} keeps no journal, so there is no feedback"
        raise FeedbackUnavailable(f"{message}. Start it without JOURNAL=off.")
    if status != HTTPStatus.OK:
        message = f"The backend at {shown} answers {status}{_read_detail(answer)}"
        raise FeedbackUnavailable(f"{message}. Try again later, or without --with-feedback.")


def _read_detail(answer: requests.Response) -> str:
    """What a problem document says, after a colon."""
    try:
        return f": {answer.json()['detail']}".rstrip(".")
    except (ValueError, TypeError, KeyError):
        return ""


def _read_entry(entry: Any) -> LabelledPrediction:
    """Raises TypeError or KeyError where it is none."""
    inputs, label = entry["inputs"], entry["label"]
    if not (isinstance(inputs, dict) and isinstance(label, str)):
        raise TypeError
    return LabelledPrediction(inputs, label)


def _odd(url: str) -> FeedbackUnavailable:
    message = f"What answers at {hide_secrets(url)} is no backend of this version"
    return FeedbackUnavailable(f"{message}. Set BACKEND_URL to one.")
