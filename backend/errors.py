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


class TableFault(NamedTuple):
    """One thing wrong in a table; a row is counted from 1, without a header."""

    detail: str
    row: int | None = None
    column: str | None = None


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


class FolderUnreadable(ModelServerError):
    """The models directory is gone, a file, or not to be read."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Models folder unreadable"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "2"}


class UnknownVersion(ModelServerError):
    """No model of this version is in the models directory."""

    status = HTTPStatus.NOT_FOUND
    title = "Unknown version"


class UnknownModel(ModelServerError):
    """No model of this name is published."""

    status = HTTPStatus.NOT_FOUND
    title = "Unknown model"


class VersionRefused(ModelServerError):
    """The version is there, and not fit to serve."""

    status = HTTPStatus.CONFLICT
    title = "Version refused"


class NotExplainable(ModelServerError):
    """The model answers, and has nothing to compare its answer by."""

    status = HTTPStatus.CONFLICT
    title = "Not explainable"


class UnsupportedMediaType(ModelServerError):
    """The body is declared as something this route cannot read."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    title = "Unsupported media type"


class UnsupportedEncoding(UnsupportedMediaType):
    """The body is compressed in a way this route cannot undo."""

    headers: ClassVar[dict[str, str]] = {"Accept-Encoding": "gzip, deflate"}


class BodyTooLarge(ModelServerError):
    """The body is larger than what its route takes."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    title = "Body too large"


class DamagedBody(ModelServerError):
    """The body cannot be decompressed."""

    status = HTTPStatus.BAD_REQUEST
    title = "Damaged body"


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


class LabelFault(NamedTuple):
    """One thing wrong with a label; they are counted from 0."""

    label: int
    detail: str


class WrongLabels(ModelServerError):
    """What is wrong, label by label."""

    def __init__(self, faults: list[LabelFault], more: int = 0) -> None:
        """`more` is the number of faults beyond those given."""
        said = [fault.detail for fault in faults] + [f"And {more} more."] * bool(more)
        super().__init__(" ".join(said))
        self.faults = faults


class UnknownPrediction(WrongLabels):
    """No such prediction is in the journal."""

    status = HTTPStatus.NOT_FOUND
    title = "Unknown prediction"


class InvalidLabels(WrongLabels):
    """A label is none of the classes of the model that answered."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "Invalid label"


class JournalAway(ModelServerError):
    """The journal's database does not answer, or its disk is full."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Journal away"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "5"}


class Unauthorized(ModelServerError):
    """The request has no key, or none of those that let in."""

    status = HTTPStatus.UNAUTHORIZED
    title = "Unauthorized"
    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": "Bearer"}


class ForeignPage(ModelServerError):
    """A browser asks for a page of an origin that is not named."""

    status = HTTPStatus.FORBIDDEN
    title = "Foreign page"


class TooManyRequests(ModelServerError):
    """As many requests as there is room for are being answered."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    title = "Too many requests"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "1"}


class RequestTooSlow(ModelServerError):
    """The request took longer than it may."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Request too slow"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "10"}


class UnknownFeature(ModelServerError):
    """The model has no feature of this name."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "Unknown feature"


class MalformedTable(ModelServerError):
    """The body is not in the format it is declared to be in."""

    status = HTTPStatus.BAD_REQUEST
    title = "Malformed table"


class InvalidTable(ModelServerError):
    """The columns or the rows of a table do not fit the model's features."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "Invalid table"

    def __init__(self, faults: list[TableFault], more: int | str = 0) -> None:
        """`more` says how many faults there are beyond those given."""
        said = [f"Row {it.row}: {it.detail}" if it.row else it.detail for it in faults]
        super().__init__(" ".join(said + [f"And {more} more."] * bool(more)))
        self.faults = faults
        self.more = more


class TableTooLarge(ModelServerError):
    """The table has more rows, or unpacks to more bytes, than are taken at once."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    title = "Table too large"


class ModelWorkerEnded(ModelServerError):
    """The model's process has ended, or took too long; another one takes its place."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Model worker ended"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "1"}


class ModelFailed(ModelServerError):
    """The estimator itself raised an error; the server has none."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    title = "Model failed"


class NotAcceptable(ModelServerError):
    """No format that the caller accepts is one this route can answer in."""

    status = HTTPStatus.NOT_ACCEPTABLE
    title = "Not acceptable"


class TooManyBatches(ModelServerError):
    """As many batches as have room are waiting to be scored."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Too many batches"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "10"}


class TooManyUploads(ModelServerError):
    """More is being sent at once than there is room for."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Too many uploads"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "10"}


class UploadTooSlow(ModelServerError):
    """The body has not come in the time it may take."""

    status = HTTPStatus.REQUEST_TIMEOUT
    title = "Upload too slow"
    headers: ClassVar[dict[str, str]] = {"Connection": "close"}


class InvalidTensors(ModelServerError):
    """The inputs or outputs of an inference request do not fit the model."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "Invalid tensors"


# What a refusal is counted under; few, as each is a time series.
Reason = Literal[
    "file", "size", "manifest", "checksum", "signature", "pickle", "allow_list", "estimator",
    "self_test", "crash", "hang", "isolation",
]  # fmt: skip


class CommandFailed(Exception):
    """A command cannot be done; the message says what to do."""


class ModelRefused(Exception):
    """A published file is not fit to serve; the message says why."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message
