"""Answers a table of instances with a table of predictions."""

from typing import Any

from fastapi import APIRouter, Request, Response

from batch.batch import Batch, score
from batch.download import Download, unless_gone
from batch.queue import keep_queue
from journal.ledger import TableCounter
from routes.predict import Version
from schemas import PredictionColumns, RowPredictions
from serving.live import Live
from web.bodies import read_body
from web.problems import problem_responses
from worker.media import WRITTEN, Format, choose_format, find_format

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
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {Format.JSON: {"schema": {"type": "object"}}, **_SENT},
        }
    },
)
async def predict_batch(request: Request, live: Live, version: Version = None) -> Response:
    """Class and class probabilities for each row of a table: JSON, CSV, Parquet or Arrow.

    The answer is in the format that `Accept` asks for, else in the one that was sent. CSV, Parquet
    and Arrow come back with all their columns and those of the answer; JSON with the answer alone.
    """
    sent = find_format(request.headers.get("content-type", ""))
    wanted = choose_format(",".join(request.headers.getlist("accept")), sent)
    model = await live.find(version)
    settings = request.app.state.settings
    body = await read_body(request, settings.max_body_bytes)
    counter = TableCounter(model, request.app.state.ledger)
    headers = {"X-Model-Version": model.version}
    batch = Batch(body, model, sent, wanted, counter, settings, headers)
    pieces = score(batch, request.state.queue)
    first = await unless_gone(request, anext(pieces, b""))
    return Download(first, pieces, headers=headers, media_type=wanted)
