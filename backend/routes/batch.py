"""Answers a table of instances with a table of predictions."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from batch.batch import Batch, score
from batch.download import Download, unless_gone
from batch.queue import keep_queue
from journal.ledger import TableCounter
from routes.predict import Version
from schemas import PredictionColumns, RowPredictions, TablePreview
from serving.inference import Model
from serving.live import Live
from web.bodies import read_body
from web.problems import problem_responses
from worker.media import WRITTEN, Format, choose_format, find_format

MAX_SHEET_NAME = 100  # of which Excel takes 31

router = APIRouter(tags=["predict"], lifespan=keep_queue)

_TABLE = {"schema": {"type": "string", "format": "binary"}}
HEADERS = {
    name: {"schema": {"type": "string"}, "description": said}
    for name, said in {
        "X-Model-Version": "The version that answered",
        "X-Read-As": "How a table of text was read, percent-encoded",
        "X-Warnings": "JSON of the rows with unknown, missing and out_of_range values, by feature",
        "X-Answer-Columns": "JSON of the answer's columns, if the table has columns of their names",
    }.items()
}
_SENT: dict[str, Any] = {kind: _TABLE for kind in Format if kind is not Format.JSON}
_WRITTEN: dict[str, Any] = {kind: _TABLE for kind in WRITTEN if kind is not Format.JSON}


_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {Format.JSON: {"schema": {"type": "object"}}, **_SENT},
    }
}
Sheet = Annotated[
    str | None,
    Query(
        max_length=MAX_SHEET_NAME,
        description="A sheet of a workbook; without it the first one that has all features.",
    ),
]


@router.post(
    "/predict/batch",
    summary="Predict many",
    response_class=Response,
    responses={
        200: {
            "description": "The predictions, in the order of the rows",
            "headers": HEADERS,
            "model": RowPredictions | PredictionColumns,
            "content": _WRITTEN,
        },
        **problem_responses(400, 404, 406, 408, 409, 413, 415, 422, 503),
    },
    openapi_extra=_BODY,
)
async def predict_batch(
    request: Request, live: Live, version: Version = None, sheet: Sheet = None
) -> Response:
    """Class and class probabilities for each row of a table: JSON, CSV, .xlsx, Parquet or Arrow.

    The answer is in the format that `Accept` asks for, else in the one that was sent; that to
    .xlsx is CSV. CSV, Parquet and Arrow come back with all their columns and those of the answer;
    JSON with the answer alone.
    """
    sent = find_format(request.headers.get("content-type", ""))
    wanted = choose_format(",".join(request.headers.getlist("accept")), sent)
    batch = await _take_batch(request, await live.find(version), sent, wanted)
    return await _answer(request, batch._replace(sheet=sheet))


@router.post(
    "/predict/batch/preview",
    summary="Preview many",
    responses=problem_responses(400, 404, 408, 409, 413, 415, 422, 503),
    response_model=TablePreview,
    openapi_extra=_BODY,
)
async def preview_batch(
    request: Request, live: Live, version: Version = None, sheet: Sheet = None
) -> Response:
    """How `POST /predict/batch` reads the same table, and the first rows; nothing is predicted."""
    sent = find_format(request.headers.get("content-type", ""))
    batch = await _take_batch(request, await live.find(version), sent, Format.JSON)
    return await _answer(request, batch._replace(sheet=sheet, ask="preview"))


async def _take_batch(request: Request, model: Model, sent: Format, wanted: Format) -> Batch:
    settings = request.app.state.settings
    body = await read_body(request, settings.max_body_bytes)
    counter = TableCounter(model, request.app.state.ledger)
    headers = {"X-Model-Version": model.version}
    return Batch(body, model, sent, wanted, counter, settings, headers)


async def _answer(request: Request, batch: Batch) -> Response:
    pieces = score(batch, request.state.queue)
    first = await unless_gone(request, anext(pieces, b""))
    return Download(first, pieces, headers=batch.headers, media_type=batch.wanted)
