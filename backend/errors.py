"""The failures this service knows, each with its status and title."""

from http import HTTPStatus
from typing import ClassVar, NamedTuple


class Fault(NamedTuple):
    """One thing wrong in a body: `pointer` is an RFC 6901 JSON pointer to it."""

    pointer: str
    detail: str


class ModelServerError(Exception):
    """A failure with an answer; its message tells the caller what to do."""

    status: ClassVar[HTTPStatus]
    title: ClassVar[str]
    headers: ClassVar[dict[str, str]] = {}


class NoModelPublished(ModelServerError):
    """The models directory holds no model that can be served yet."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "No model published"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "2"}


class UnsupportedMediaType(ModelServerError):
    """The body is declared as something this route cannot read."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    title = "Unsupported media type"


class BodyTooLarge(ModelServerError):
    """The body is larger than MAX_BODY_BYTES."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    title = "Body too large"


class MalformedBody(ModelServerError):
    """The body is not JSON."""

    status = HTTPStatus.BAD_REQUEST
    title = "Malformed JSON"


class InvalidInstance(ModelServerError):
    """The instance does not fit the live model's features."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "Invalid instance"

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(" ".join(fault.detail for fault in faults))
        self.faults = faults


class ModelRefused(Exception):
    """A published file is not fit to serve; the message says why."""
