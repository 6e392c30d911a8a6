"""Writes the log: a line for each event and for each request, with the request's id."""

import json
import logging
import re
import sys
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import NamedTuple, TextIO

from identifiers import TIME_DIGITS, read_time
from settings import Settings, read_settings

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_USABLE_ID = re.compile(rb"[\w.:+/=@-]{1,128}", re.ASCII)  # nothing that ends a line or a string

_TEXT = "INFO: access: request method=%s route=%s status=%d seconds=%.6f request_id=%s\n"
_PREDICTED = _TEXT.replace("%s", "POST", 1).replace("%s", "/predict", 1).replace("%d", "200")
_JSON = (
    '{"time": "%s", "level": "INFO", "logger": "access", "message": "request", "method": "%s", '
    '"route": "%s", "status": %d, "seconds": %.6f, "request_id": "%s"}\n'
)


class Answered(NamedTuple):
    """A request that has been answered; `route` and `method` are of those there are."""

    method: str
    route: str
    status: int
    seconds: float
    request_id: str


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
    return RequestLog(sys.stderr, is_json) if is_on else RequestLog(None, is_json)


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
            "time": _say_time(datetime.fromtimestamp(record.created, UTC)),
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

    def write(self, answered: Answered) -> None:
        if self._stream:
            _write(self._stream, self._format(answered))

    def write_predictions(self, found: Sequence[tuple[str, float, str]]) -> None:
        """Of many /predict: the id, seconds, and the id of the prediction, which has its time."""
        if self._stream is None:
            return
        if self._format is _to_text:
            lines = [_PREDICTED % (seconds, identifier) for identifier, seconds, _ in found]
        else:
            lines = _list_json(found)
        _write(self._stream, "".join(lines))


def _list_json(found: Sequence[tuple[str, float, str]]) -> list[str]:
    times: dict[str, str] = {}  # many are of the same millisecond
    lines = []
    for identifier, seconds, prediction_id in found:
        begun = prediction_id[:TIME_DIGITS]
        if begun not in times:
            times[begun] = _say_time(read_time(begun))
        lines.append(_JSON % (times[begun], "POST", "/predict", 200, seconds, identifier))
    return lines


def _to_text(answered: Answered) -> str:
    return _TEXT % answered


def _to_json(answered: Answered) -> str:
    return _JSON % (_say_time(datetime.now(UTC)), *answered)


def _say_time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):  # nobody reads it any more
        return
