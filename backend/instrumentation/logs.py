"""Writes the log: a line for each event and for each request, with the request's id."""

import json
import logging
import re
import sys
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from typing import TextIO

from settings import Settings, read_settings

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

# A request that has been answered: its method and its route, of those there are, the status, the
# seconds it took, its id, and the moment, in seconds since 1970. A class takes ten times as long.
Answered = tuple[str, str, int, float, str, float]

_USABLE_ID = re.compile(rb"[\w.:+/=@-]{1,128}", re.ASCII)  # nothing that ends a line or a string

_TEXT = "INFO: access: request method=%s route=%s status=%d seconds=%.6f request_id=%s\n"
_JSON = (
    '{"time": "%s", "level": "INFO", "logger": "access", "message": "request", "method": "%s", '
    '"route": "%s", "status": %d, "seconds": %.6f, "request_id": "%s"}\n'
)


def read_request_id(header: bytes | None) -> str | None:
    """What the caller calls the request, where that is fit for a log."""
    return header.decode() if header and _USABLE_ID.fullmatch(header) else None


def set_up_logs(settings: Settings) -> "RequestLog":
    """For all loggers, the server's own included; returns that of the requests."""
    handler = logging.StreamHandler(sys.stderr)
    is_json = settings.log_format == "json"
    handler.setFormatter(_choose_formatter(settings))
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(logging.NOTSET)  # as all others
    # Each request has a line of ours; the server has looked already whether it is to make one.
    logging.getLogger("uvicorn.access").handlers.clear()
    logging.getLogger("uvicorn.access").propagate = False
    is_on = logging.getLogger("access").isEnabledFor(logging.INFO)
    return RequestLog(sys.stderr if is_on else None, is_json)


def make_formatter() -> logging.Formatter:
    """For log_config.json, by which the process that starts several workers logs too."""
    return _choose_formatter(read_settings())


def _choose_formatter(settings: Settings) -> logging.Formatter:
    return JsonFormatter() if settings.log_format == "json" else TextFormatter()


class TextFormatter(logging.Formatter):
    """As a person reads it."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{record.levelname}: {record.name}: {record.getMessage()}"
        if found := request_id.get():
            line += f" request_id={found}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        said = {
            "time": _say_time(int(1000 * record.created)),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if found := request_id.get():
            said["request_id"] = found
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said)


class RequestLog:
    """Logging's own machinery takes longer than a prediction, so these lines are made here."""

    def __init__(self, stream: TextIO | None, is_json: bool) -> None:
        """Without a stream nothing is written."""
        self._stream = stream
        self._format: Callable[[Answered], str] = _to_json if is_json else _to_text

    def write(self, found: Iterable[Answered]) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write("".join(map(self._format, found)))
            self._stream.flush()
        except (OSError, ValueError):  # nobody reads it any more
            return


def _to_text(answered: Answered) -> str:
    return _TEXT % answered[:-1]


def _to_json(answered: Answered) -> str:
    *said, moment = answered
    return _JSON % (_say_time(int(1000 * moment)), *said)


@lru_cache(maxsize=64)  # many are of the same millisecond
def _say_time(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
