"""Gives every failure the shape of its path: RFC 9457 problem documents, or the open protocol's."""

import re
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from errors import InvalidInstance, InvalidTable, ModelServerError, WrongLabels, shorten
from instances import MAX_FAULTS
from logs import request_id
from open_inference.protocol import Failure
from schemas import Problem

MEDIA_TYPE = "application/problem+json"
OPEN_PROTOCOL = re.compile(r"/v[12](/|$)")


def add_problem_handlers(app: FastAPI) -> None:
    """Give every failure that can leave the app the same shape."""

    @app.exception_handler(ModelServerError)
    async def model_server_error(request: Request, error: ModelServerError) -> JSONResponse:
        return answer_failure(request, error)

    @app.exception_handler(RequestValidationError)
    async def invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [_say_fault(it) for it in error.errors()[:MAX_FAULTS]]
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        detail = " ".join(fault["detail"] for fault in faults)
        return _failure(request, status, "Invalid request", detail, errors=faults)

    @app.exception_handler(InvalidInstance)
    async def invalid_instance(request: Request, error: InvalidInstance) -> JSONResponse:
        faults = [fault._asdict() for fault in error.faults]
        return _failure(request, error.status, error.title, str(error), errors=faults)

    @app.exception_handler(WrongLabels)
    async def wrong_labels(request: Request, error: WrongLabels) -> JSONResponse:
        faults = [fault._asdict() for fault in error.faults]
        return _failure(request, error.status, error.title, str(error), errors=faults)

    @app.exception_handler(InvalidTable)
    async def invalid_table(request: Request, error: InvalidTable) -> JSONResponse:
        members = [fault._asdict().items() for fault in error.faults]
        faults = [{key: value for key, value in it if value is not None} for it in members]
        return _failure(request, error.status, error.title, str(error), errors=faults)

    # Starlette's, not FastAPI's: an unknown path raises the former.
    @app.exception_handler(HTTPException)
    async def http_exception(request: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        advice = _advice(request, error)
        return _failure(request, status, status.phrase, advice, headers=error.headers)

    @app.exception_handler(ClientDisconnect)
    async def client_disconnect(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody is there to read it

    @app.exception_handler(Exception)
    async def unexpected_error(request: Request, error: Exception) -> JSONResponse:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        detail = "This is our fault; the server's log says more."
        return _failure(request, status, status.phrase, detail)


def answer_failure(request: Request, error: ModelServerError) -> JSONResponse:
    """For those before the app, which no handler of its own sees."""
    return _failure(request, error.status, error.title, str(error), headers=error.headers)


def _say_fault(error: dict[str, Any]) -> dict[str, str]:
    """Without what was sent: it need not be writable as JSON, nor anybody's business."""
    place = "/".join(str(part) for part in error["loc"][1:])
    said = f"{shorten(place)}: {error['msg']}." if place else f"{error['msg']}."
    return {"pointer": f"#/{shorten(place)}", "detail": said}


def _advice(request: Request, error: HTTPException) -> str:
    path = shorten(request.url.path)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"There is nothing at {path}. The routes are listed at /docs."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "another method")
        return f"{path} does not answer {request.method}. Use {allowed}."
    return str(error.detail)


def _failure(
    request: Request,
    status: HTTPStatus,
    title: str,
    detail: str,
    headers: Any = None,
    **members: Any,
) -> JSONResponse:
    if OPEN_PROTOCOL.match(request.url.path):
        return JSONResponse(Failure(error=detail).model_dump(), status, headers=headers)
    document = {"title": title, "status": status.value, "detail": detail, **members}
    if found := request_id.get():
        document["request_id"] = found
    return JSONResponse(document, status, headers=headers, media_type=MEDIA_TYPE)


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
