"""Gives every failure the shape of its path: RFC 9457 problem documents, or the open protocol's."""

import re
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from errors import Fault, Faulty, InvalidRequest, ModelServerError, PlainFailure, shorten
from features.instances import MAX_FAULTS
from instrumentation.logs import request_id
from schemas import Failure, Problem

MEDIA_TYPE = "application/problem+json"
OPEN_PROTOCOL = re.compile(r"/v[12](/|$)")


def add_problem_handlers(app: FastAPI) -> None:
    """Give every failure that can leave the app the same shape."""

    @app.exception_handler(ModelServerError)
    async def model_server_error(request: Request, error: ModelServerError) -> JSONResponse:
        return answer_failure(request, error)

    @app.exception_handler(RequestValidationError)
    async def invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [_say_fault(found) for found in error.errors()[:MAX_FAULTS]]
        return answer_failure(request, InvalidRequest(faults))

    # Starlette's, not FastAPI's: an unknown path raises the former.
    @app.exception_handler(HTTPException)
    async def http_exception(request: Request, error: HTTPException) -> JSONResponse:
        failure = PlainFailure(error.status_code, _advise(request, error), error.headers)
        return answer_failure(request, failure)

    @app.exception_handler(ClientDisconnect)
    async def client_disconnect(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody is there to read it

    @app.exception_handler(Exception)
    async def unexpected_error(request: Request, error: Exception) -> JSONResponse:
        detail = "This is our fault; the server's log says more."
        return answer_failure(request, PlainFailure(HTTPStatus.INTERNAL_SERVER_ERROR, detail))


def answer_failure(request: Request, error: ModelServerError) -> JSONResponse:
    """The answer in the shape of its path, also for what fails before the app."""
    if OPEN_PROTOCOL.match(request.url.path):
        return JSONResponse({"error": str(error)}, error.status, headers=error.headers)
    document = {"title": error.title, "status": error.status, "detail": str(error)}
    if isinstance(error, Faulty):
        document["errors"] = [
            {key: value for key, value in fault._asdict().items() if value is not None}
            for fault in error.faults
        ]
    if found := request_id.get():
        document["request_id"] = found
    return JSONResponse(document, error.status, headers=error.headers, media_type=MEDIA_TYPE)


def _say_fault(error: dict[str, Any]) -> Fault:
    """Without what was sent: it need not be writable as JSON, nor anybody's business."""
    place = "/".join(str(part) for part in error["loc"][1:])
    said = f"{shorten(place)}: {error['msg']}." if place else f"{error['msg']}."
    return Fault(f"#/{shorten(place)}", said)


def _advise(request: Request, error: HTTPException) -> str:
    path = shorten(request.url.path)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"There is nothing at {path}. The routes are listed at /docs."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "another method")
        return f"{path} does not answer {request.method}. Use {allowed}."
    return str(error.detail)


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of a route's failures."""
    return {status: _response(HTTPStatus(status)) for status in statuses}


def failure_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """As problem_responses, under the paths of the open protocol."""
    return {
        status: {"model": Failure, "description": HTTPStatus(status).phrase} for status in statuses
    }


def _response(status: HTTPStatus) -> dict[str, Any]:
    example = {"title": status.phrase, "status": status.value, "detail": "What to do about it."}
    content = {"schema": Problem.model_json_schema(), "example": example}
    return {"description": status.phrase, "content": {MEDIA_TYPE: content}}
