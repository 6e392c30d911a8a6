"""The failures this service knows, each with its status and title."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Literal, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

LONGEST = 100  # characters of what a caller sent that are sent back


def shorten(text: str) -> str:
    """What a caller sent, as far as it is worth repeating."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


class Fault(NamedTuple):
    """One thing wrong in a body: `pointer` is an RFC 6901 JSON pointer to it."""

    pointer: str
    detail: str


class LabelFault(NamedTuple):
    """One thing wrong with a label; they are counted from 0."""

    label: int
    detail: str


class TableFault(NamedTuple):
    """One thing wrong in a table; a row is counted from 1, without a header."""

    detail: str
    row: int | None = None
    column: str | None = None


class ModelServerError(Exception):
    """A failure with an answer; its message tells the caller what to do."""

    status: HTTPStatus
    title: str
    headers: Mapping[str, str] = {}

    def __init_subclass__(
        cls, *, status: int = 0, title: str = "", retry_after: int | None = None
    ) -> None:
        """Set what all errors of the class share; what is left out is inherited."""
        if status:
            cls.status, cls.title = HTTPStatus(status), title
        if retry_after:
            cls.headers = {"Retry-After": str(retry_after)}


class PlainFailure(ModelServerError):
    """A failure without a class of its own, such as 404 for an unknown path."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = HTTPStatus(status)
        self.title = self.status.phrase
        self.headers = headers or {}


class Faulty(ModelServerError):
    """A request with several faults; `more` says how many there are beyond those given."""

    def __init__(
        self, faults: Sequence[Fault | LabelFault | TableFault], more: int | str = 0
    ) -> None:
        said = [*map(_say, faults)] + [f"And {more} more."] * bool(more)
        super().__init__(" ".join(said))
        self.faults = faults
        self.more = more


def _say(fault: Fault | LabelFault | TableFault) -> str:
    if isinstance(fault, TableFault) and fault.row:
        return f"Row {fault.row}: {fault.detail}"
    return fault.detail


class NoModelPublished(ModelServerError, status=503, title="No model published", retry_after=2):
    """The models directory holds no model that can be served yet."""


class FolderUnreadable(
    ModelServerError, status=503, title="Models folder unreadable", retry_after=2
):
    """The models directory is gone, a file, or not to be read."""


class UnknownVersion(ModelServerError, status=404, title="Unknown version"):
    """No model of this version is in the models directory."""


class UnknownModel(ModelServerError, status=404, title="Unknown model"):
    """No model of this name is published."""


class VersionRefused(ModelServerError, status=409, title="Version refused"):
    """The version is there, and not fit to serve."""


class NotExplainable(ModelServerError, status=409, title="Not explainable"):
    """The model answers, and has nothing to compare its answer by."""


class UnsupportedMediaType(ModelServerError, status=415, title="Unsupported media type"):
    """The body is declared as something this route cannot read."""


class UnsupportedEncoding(UnsupportedMediaType):
    """The body is compressed in a way this route cannot undo."""

    headers: Mapping[str, str] = {"Accept-Encoding": "gzip, deflate"}


class BodyTooLarge(ModelServerError, status=413, title="Body too large"):
    """The body is larger than what its route takes."""


class DamagedBody(ModelServerError, status=400, title="Damaged body"):
    """The body cannot be decompressed."""


class MalformedBody(ModelServerError, status=400, title="Malformed JSON"):
    """The body is not JSON."""


def list_errors(invalid: ValidationError, advice: str) -> list[ErrorDetails]:
    """List what is wrong, without what was sent; raises MalformedBody if it is not JSON."""
    errors = invalid.errors(include_url=False, include_context=False, include_input=False)
    if errors[0]["type"] == "json_invalid":
        raise MalformedBody(f"{errors[0]['msg']}. {advice}")
    return errors


class InvalidRequest(Faulty, status=422, title="Invalid request"):
    """A parameter or the body does not have the form that its route takes."""


class InvalidInstance(Faulty, status=422, title="Invalid instance"):
    """The instance does not fit the live model's features."""


class UnknownPrediction(Faulty, status=404, title="Unknown prediction"):
    """No such prediction is in the journal."""


class InvalidLabels(Faulty, status=422, title="Invalid label"):
    """A label is none of the classes of the model that answered."""


class JournalAway(ModelServerError, status=503, title="Journal away", retry_after=5):
    """The journal's database does not answer, or its disk is full."""


class Unauthorized(ModelServerError, status=401, title="Unauthorized"):
    """The request has no key, or none of those that let in."""

    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


class ForeignPage(ModelServerError, status=403, title="Foreign page"):
    """A browser asks for a page of an origin that is not named."""


class TooManyRequests(ModelServerError, status=429, title="Too many requests", retry_after=1):
    """As many requests as there is room for are being answered."""


class RequestTooSlow(ModelServerError, status=503, title="Request too slow", retry_after=10):
    """The request took longer than it may."""


class UnknownFeature(ModelServerError, status=422, title="Unknown feature"):
    """The model has no feature of this name."""


class MalformedTable(ModelServerError, status=400, title="Malformed table"):
    """The body is not in the format it is declared to be in."""


class InvalidTable(Faulty, status=422, title="Invalid table"):
    """The columns or the rows of a table do not fit the model's features."""


class TableTooLarge(ModelServerError, status=413, title="Table too large"):
    """The table has more rows, or unpacks to more bytes, than are taken at once."""


class ModelWorkerEnded(ModelServerError, status=503, title="Model worker ended", retry_after=1):
    """The model's process has ended, or took too long; another one takes its place."""


class ModelFailed(ModelServerError, status=500, title="Model failed"):
    """The estimator itself raised an error; the server has none."""


class NotAcceptable(ModelServerError, status=406, title="Not acceptable"):
    """No format that the caller accepts is one this route can answer in."""


class TooManyBatches(ModelServerError, status=503, title="Too many batches", retry_after=10):
    """As many batches as have room are waiting to be scored."""


class TooManyUploads(ModelServerError, status=503, title="Too many uploads", retry_after=10):
    """More is being sent at once than there is room for."""


class UploadTooSlow(ModelServerError, status=408, title="Upload too slow"):
    """The body has not come in the time it may take."""

    headers: Mapping[str, str] = {"Connection": "close"}


class InvalidTensors(ModelServerError, status=422, title="Invalid tensors"):
    """The inputs or outputs of an inference request do not fit the model."""


# What a refusal is counted under; few, as each is a time series.
Reason = Literal[
    "name", "file", "size", "manifest", "checksum", "signature", "pickle", "allow_list",
    "estimator", "libraries", "self_test", "crash", "hang", "isolation",
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
