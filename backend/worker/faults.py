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

TOO_LARGE = "It takes more memory than a model worker may use. Send fewer rows at a time."

LONGEST_TEXT = 2000  # characters of what a model has to say
LONGEST_NAME = 500  # characters of a column

_FAULTS = TypeAdapter(list[TableFault])
_MORE = TypeAdapter(int | Annotated[str, Field(max_length=100)])
_PLAIN: dict[str, type[ModelServerError]] = {
    it.__name__: it for it in (MalformedBody, MalformedTable, ModelFailed, TableTooLarge)
}


def write_fault(error: ModelServerError) -> dict[str, Any]:
    if isinstance(error, InvalidTable):
        return {"kind": "InvalidTable", "faults": error.faults, "more": error.more}
    return {"kind": type(error).__name__, "said": str(error)}


def read_fault(fault: dict[str, Any]) -> ModelServerError:
    """Raises what Python does for anything that `write_fault` does not write."""
    if fault["kind"] == "InvalidTable":
        faults = _FAULTS.validate_python(fault["faults"][:MAX_FAULTS])
        return InvalidTable([*map(_shorten, faults)], _MORE.validate_python(fault["more"]))
    return _PLAIN[fault["kind"]](str(fault["said"])[:LONGEST_TEXT])


def _shorten(fault: TableFault) -> TableFault:
    column = fault.column and fault.column[:LONGEST_NAME]
    return fault._replace(detail=fault.detail[:LONGEST_TEXT], column=column)
