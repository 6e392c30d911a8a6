"""Errors that a model worker answers with, as plain data."""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from errors import (
    InvalidTable,
    MalformedBody,
    MalformedTable,
    ModelFailed,
    ModelServerError,
    TableFault,
    TableTooLarge,
)
from features.instances import MAX_FAULTS
from worker.exchange import ExchangeError

TOO_LARGE = "It takes more memory than a model worker may use. Send fewer rows at a time."

LONGEST_TEXT = 2000  # characters of what a model has to say
LONGEST_NAME = 500  # characters of a column

_FAULTS = TypeAdapter(list[TableFault])
_MORE = TypeAdapter(int | Annotated[str, Field(max_length=100)])
_PLAIN: dict[str, type[ModelServerError]] = {
    kind.__name__: kind for kind in (MalformedBody, MalformedTable, ModelFailed, TableTooLarge)
}


def write_failure(error: ModelServerError | MemoryError) -> dict[str, Any]:
    if isinstance(error, MemoryError):
        error = TableTooLarge(TOO_LARGE)
    if isinstance(error, InvalidTable):
        return {"kind": "InvalidTable", "faults": error.faults, "more": error.more}
    return {"kind": type(error).__name__, "said": str(error)}


def read_failure(failure: Any) -> ModelServerError:
    """Raises ExchangeError for anything that `write_failure` does not write."""
    try:
        if failure["kind"] == "InvalidTable":
            faults = _FAULTS.validate_python(failure["faults"][:MAX_FAULTS])
            return InvalidTable([*map(_shorten, faults)], _MORE.validate_python(failure["more"]))
        return _PLAIN[failure["kind"]](str(failure["said"])[:LONGEST_TEXT])
    except (LookupError, TypeError, ValueError):
        raise ExchangeError("It does not say what is wrong.") from None


def _shorten(fault: TableFault) -> TableFault:
    column = fault.column and fault.column[:LONGEST_NAME]
    return fault._replace(detail=fault.detail[:LONGEST_TEXT], column=column)
