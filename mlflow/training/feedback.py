"""Adds the backend's labelled predictions to a dataset."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from http import HTTPStatus
from typing import Any, NamedTuple

import pandas as pd
import requests

from errors import CommandFailed, hide_secrets
from table.columns import MAX_NUMBER, Kind
from table.dataset import Dataset
from training.folds import number_rows

PAGE_ROWS = 1000
TIMEOUTS = (3.05, 60.0)  # seconds to connect, and between two pieces of the answer


class FeedbackUnavailable(CommandFailed):
    """The backend does not tell its labelled predictions."""


class LabelledPrediction(NamedTuple):
    """The inputs as they were sent: numbers, booleans, texts, or None."""

    inputs: dict[str, Any]
    label: str


class Addition(NamedTuple):
    """The dataset with the rows added, and how many predictions were left out, by reason."""

    dataset: Dataset
    left_out: Counter[str]


def read_labelled(url: str, key: str, name: str) -> Iterator[LabelledPrediction]:
    """Yield what is labelled of all models of this name, oldest first.

    Raises FeedbackUnavailable.
    """
    if not (key.isascii() and key.isprintable()):
        raise FeedbackUnavailable("API_KEY cannot be sent. Use letters and digits.")
    with requests.Session() as session:
        # Nothing of the environment: no proxy may come between two services of one machine.
        session.trust_env = False
        if key:
            session.headers["X-API-Key"] = key
        after: str | None = ""
        while after is not None:
            page = {"name": name, "after": after or None, "limit": str(PAGE_ROWS)}
            labelled, following = _read_page(_ask(session, url, page), url)
            if following == after:  # it would never end
                raise _odd(url)
            yield from labelled
            after = following


def add_feedback(dataset: Dataset, labelled: list[LabelledPrediction]) -> Addition:
    """`labelled` are oldest first. Only the dataset decides what a column is."""
    classes = set(dataset.classes)
    faults = [_find_fault(prediction, dataset.kinds, classes) for prediction in labelled]
    fitting = [one for one, fault in zip(labelled, faults, strict=True) if fault is None]
    X, y = _tabulate(fitting, dataset)
    fates = _find_repeats(dataset, X, y)
    is_new = [fate is None for fate in fates]
    left_out = Counter(reason for reason in [*fates, *faults] if reason is not None)
    return Addition(_append(dataset, X[is_new], y[is_new]), left_out)


def _read_page(answer: requests.Response, url: str) -> tuple[list[LabelledPrediction], str | None]:
    """Also, what to ask the next page with, if there is one."""
    try:
        found = answer.json()
        labelled, following = [_read_entry(entry) for entry in found["feedback"]], found["next"]
    except (ValueError, TypeError, KeyError):
        raise _odd(url) from None
    if not isinstance(following, str | None):
        raise _odd(url)
    return labelled, following


def _read_entry(entry: Any) -> LabelledPrediction:
    """Raises TypeError or KeyError if it is none."""
    inputs, label = entry["inputs"], entry["label"]
    if not (isinstance(inputs, dict) and isinstance(label, str)):
        raise TypeError
    return LabelledPrediction(inputs, label)


def _ask(session: requests.Session, url: str, page: dict[str, str | None]) -> requests.Response:
    address, shown = f"{url.rstrip('/')}/feedback", hide_secrets(url)
    try:
        # A redirection could lead the key elsewhere.
        answer = session.get(address, params=page, timeout=TIMEOUTS, allow_redirects=False)
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
        message = f"The backend does not answer at {shown}"
        raise FeedbackUnavailable(f"{message}. Start it, or set BACKEND_URL.") from None
    except (requests.RequestException, ValueError):
        message = f"BACKEND_URL {shown} cannot be asked"
        raise FeedbackUnavailable(f"{message}. Give it like http://localhost:8002.") from None
    if answer.status_code != HTTPStatus.OK:
        raise FeedbackUnavailable(f"The backend at {shown} {_explain_refusal(answer)}")
    return answer


def _explain_refusal(answer: requests.Response) -> str:
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        return "asks for a key. Set API_KEY to one of those that it takes."
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return "keeps no journal, so there is no feedback. Start it without JOURNAL=off."
    try:  # a problem document
        said = f": {answer.json()['detail']}".rstrip(".")
    except (ValueError, TypeError, KeyError):
        said = ""
    return f"answers {answer.status_code}{said}. Try again later, or without --with-feedback."


def _odd(url: str) -> FeedbackUnavailable:
    message = f"What answers at {hide_secrets(url)} is no backend of this version"
    return FeedbackUnavailable(f"{message}. Set BACKEND_URL to one.")


def _find_fault(
    prediction: LabelledPrediction, kinds: dict[str, Kind], classes: set[str]
) -> str | None:
    if prediction.inputs.keys() != kinds.keys():
        return "of other features"
    if prediction.label not in classes:
        return "of another class"
    values = ((_FITS[kinds[name]], value) for name, value in prediction.inputs.items())
    if not all(value is None or fits(value) for fits, value in values):
        return "with a value of another kind"
    return None


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= MAX_NUMBER


def _is_text(value: Any) -> bool:
    # JSON can hold half a character, which no column can.
    return isinstance(value, str) and not re.search("[\ud800-\udfff]", value)


_FITS: dict[Kind, Callable[[Any], bool]] = {
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "category": _is_text,
}


def _tabulate(
    labelled: list[LabelledPrediction], dataset: Dataset
) -> tuple[pd.DataFrame, pd.Series]:
    """Features and labels as the dataset holds them."""
    columns = {
        name: pd.Series([one.inputs[name] for one in labelled], dtype=dataset.X[name].dtype)
        for name in dataset.kinds
    }
    labels = pd.Series([one.label for one in labelled], dtype=dataset.y.dtype, name=dataset.y.name)
    return pd.DataFrame(columns), labels


def _find_repeats(dataset: Dataset, X: pd.DataFrame, y: pd.Series) -> list[str | None]:
    """Why a row tells nothing new; None if it does."""
    instances = number_rows(pd.concat([dataset.X, X], ignore_index=True)).tolist()
    known = set(zip(instances, dataset.y, strict=False))
    sent = list(zip(instances[len(dataset.X) :], y, strict=True))
    latest = dict(sent)
    fates: list[str | None] = []
    for instance, label in sent:
        if latest[instance] != label:
            fates.append("labelled anew later")
        elif (instance, label) in known:
            fates.append("there already")
        else:
            known.add((instance, label))
            fates.append(None)
    return fates


def _append(dataset: Dataset, X: pd.DataFrame, y: pd.Series) -> Dataset:
    if X.empty:
        return dataset
    whole = pd.concat([dataset.X, X], ignore_index=True)
    rows = [X.astype(object).to_numpy().tolist(), y.tolist()]
    content = dataset.sha256 + json.dumps(rows)
    return replace(
        dataset,
        X=whole,
        y=pd.concat([dataset.y, y], ignore_index=True),
        nullable=[name for name in whole.columns if whole[name].isna().any()],
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        feedback_rows=len(X),
    )
