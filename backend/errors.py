"""The failures this service knows, each with its status and title."""

from http import HTTPStatus
from typing import ClassVar, Literal, NamedTuple

LONGEST = 100  # characters of what a caller sent that are sent back


def shorten(text: str) -> str:
    """What a caller sent, as far as it is worth repeating."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


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


class UnknownVersion(ModelServerError):
    """No model of this version is in the models directory."""

    status = HTTPStatus.NOT_FOUND
    title = "Unknown version"


class VersionRefused(ModelServerError):
    """The version is there, and not fit to serve."""

    status = HTTPStatus.CONFLICT
    title = "Version refused"


class UnsupportedMediaType(ModelServerError):
    """The body is declared as something this route cannot read."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    title = "Unsupported media type"


class BodyTooLarge(ModelServerError):
    """The body is larger than what its route takes."""

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

    def __init__(self, faults: list[Fault], more: int = 0) -> None:
        """`more` is the number of faults beyond those given."""
        said = [fault.detail for fault in faults] + [f"And {more} more."] * bool(more)
        super().__init__(" ".join(said))
        self.faults = faults


# What a refusal is counted under; few, as each is a time series.
Reason = Literal[
    "file", "size", "manifest", "checksum", "signature", "pickle", "allow_list", "estimator",
    "self_test", "crash", "hang",
]  # fmt: skip


class ModelRefused(Exception):
    """A published file is not fit to serve; the message says why."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message
