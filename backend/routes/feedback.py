"""Takes what predictions should have been, and gives those that are known."""

import asyncio
from collections.abc import Sequence
from time import time
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import FailFast, Field, TypeAdapter, ValidationError

from errors import (
    Faulty,
    InvalidLabels,
    JournalAway,
    LabelFault,
    UnknownPrediction,
    list_errors,
    shorten,
)
from instrumentation.identifiers import read_milliseconds
from journal.feedback import Predicted
from journal.journal import Journal
from schemas import Label, LabelledPage, Recorded
from web.bodies import read_json_body
from web.openapi import describe_type
from web.problems import problem_responses

MOST_LABELS = 10_000
MOST_BYTES = 2 * 1024**2  # two hundred for each; reading more would hold others up
SHOWN_FAULTS = 20
WRITTEN_SECONDS = 10.0  # by then the journal has a prediction, or is in trouble
LOOK_SECONDS = 0.1
QUEUED_SECONDS = 1.0  # at most, from a prediction's id to its place in the journal's queue

router = APIRouter(tags=["feedback"])


async def _of(request: Request) -> Journal:
    journal: Journal = request.app.state.journal
    return journal


Kept = Annotated[Journal, Depends(_of)]
_ONE = TypeAdapter(Label)
# To say what is wrong with each of many would take seconds.
_MANY = TypeAdapter(Annotated[list[Label], Field(min_length=1, max_length=MOST_LABELS), FailFast()])
_BODY = {"anyOf": [_ONE.json_schema(), describe_type(_MANY)]}


@router.post(
    "/feedback",
    summary="Say what predictions should have been",
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": _BODY}}}
    },
    responses=problem_responses(400, 404, 413, 415, 422, 503),
)
async def take_feedback(request: Request, journal: Kept) -> Recorded:
    """The label of one earlier prediction, or of many; all are kept, or none.

    The last label of a prediction counts, so that sending one again changes nothing.
    """
    limit = min(request.app.state.settings.max_body_bytes, MOST_BYTES)
    given = _read_labels(await read_json_body(request, limit))
    by_id = {label.prediction_id: label.label for label in given}
    predicted = await _find_written(journal, list(by_id))
    _require_known(given, predicted)
    _require_classes(given, predicted)
    await journal.ask(journal.feedback.record, by_id, predicted)
    return Recorded(recorded=len(by_id))


@router.get(
    "/feedback",
    summary="List the predictions that have labels",
    responses=problem_responses(422, 503),
)
async def list_feedback(
    journal: Kept,
    name: Annotated[str, Query(description="Of the model, as in its manifest.")],
    after: Annotated[str, Query(description="The `next` of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=MOST_LABELS)] = 1000,
) -> LabelledPage:
    """What was asked and what it should have been, in the order of the predictions."""
    return await journal.ask(journal.feedback.list_labelled, name, after, limit)


def _read_labels(body: bytes) -> list[Label]:
    """Raises MalformedBody, or RequestValidationError with what is wrong where."""
    try:
        is_many = body.lstrip()[:1] == b"["
        return _MANY.validate_json(body) if is_many else [_ONE.validate_json(body)]
    except ValidationError as invalid:
        faults = list_errors(invalid, "Send a prediction_id and its label, or a list of such.")
    raise RequestValidationError([{**fault, "loc": ("body", *fault["loc"])} for fault in faults])


async def _find_written(journal: Journal, identifiers: list[str]) -> dict[str, Predicted]:
    """Those made just now may not be written yet, by whichever worker made them.

    Raises JournalAway where one of them waits longer for it.
    """
    found: dict[str, Predicted] = {}
    missing = identifiers
    while True:
        lag = journal.recorder.lag_seconds  # before looking: what is written meanwhile is found
        found |= await journal.ask(journal.feedback.find, missing)
        missing = [identifier for identifier in identifiers if identifier not in found]
        if not any(_is_younger(identifier, WRITTEN_SECONDS) for identifier in missing):
            break
        await asyncio.sleep(LOOK_SECONDS)
    if lag and any(_is_younger(identifier, lag + QUEUED_SECONDS) for identifier in missing):
        raise JournalAway("The journal is behind. Send it again later.")
    return found


def _is_younger(identifier: str, seconds: float) -> bool:
    try:
        age = time() - read_milliseconds(identifier) / 1000
    except ValueError:
        return False
    return 0 <= age < seconds


def _require_known(given: Sequence[Label], predicted: dict[str, Predicted]) -> None:
    faults = [
        LabelFault(place, f"No prediction {shorten(label.prediction_id)} is known.")
        for place, label in enumerate(given)
        if label.prediction_id not in predicted
    ]
    _require_none(faults, UnknownPrediction)


def _require_classes(given: Sequence[Label], predicted: dict[str, Predicted]) -> None:
    faults = [
        LabelFault(
            place,
            f"{shorten(label.label)} is no class of the model that answered. "
            f"Its classes are {', '.join(map(shorten, classes[:SHOWN_FAULTS]))}.",
        )
        for place, label in enumerate(given)
        if label.label not in (classes := predicted[label.prediction_id].classes)
    ]
    _require_none(faults, InvalidLabels)


def _require_none(faults: list[LabelFault], error: type[Faulty]) -> None:
    if faults:
        raise error(faults[:SHOWN_FAULTS], more=len(faults[SHOWN_FAULTS:]))
