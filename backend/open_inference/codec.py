"""Reads the bytes of inference requests, and writes those of their answers."""

import gzip
import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from starlette.responses import Response

from errors import InvalidTensors, MalformedBody, list_errors, shorten
from features.binning import Array
from open_inference.protocol import InferenceRequest, RequestInput, RequestOutput
from open_inference.tensors import TEXT, name_datatype, write_text
from serving.inference import Model

HEADER = "Inference-Header-Content-Length"  # of the JSON that stands before binary data
SMALLEST_COMPRESSED = 1024  # bytes: of less, little is saved

_SHOWN_FAULTS = 5
# They ask for extensions that are not offered: to ignore one would change the answer in silence.
_REFUSED_PARAMETERS = ("classification", "shared_memory_region")
_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, 1, mtime=0),
    "deflate": lambda body: zlib.compress(body, 1),
}

Body = TypeVar("Body", bound=BaseModel)


def read_json(kind: type[Body], body: bytes) -> Body:
    """Raises MalformedBody or InvalidTensors."""
    try:
        return kind.model_validate_json(body.lstrip(BOM_UTF8))
    except ValidationError as invalid:
        faults = list_errors(invalid, "Send one JSON object in UTF-8.")
    said = [
        f"{shorten('.'.join(map(str, fault['loc']))) or 'The body'}: {fault['msg']}."
        for fault in faults[:_SHOWN_FAULTS]
    ]
    raise InvalidTensors(" ".join(said))


def read_request(
    body: bytes, header: str | None
) -> tuple[InferenceRequest, list[tuple[RequestInput, bytes | None]]]:
    """The request, and its inputs with what came for each in binary.

    `header` says where the JSON ends. Raises MalformedBody or InvalidTensors.
    """
    if header is not None and not re.fullmatch(r"\d{1,18}", header, re.ASCII):
        raise MalformedBody(f"{HEADER} must be a number of bytes, not {shorten(header)}.")
    end = len(body) if header is None else int(header)
    if end > len(body):
        raise MalformedBody(f"{HEADER} is {end}, and the body has only {len(body)} bytes.")
    request = read_json(InferenceRequest, body[:end])
    return request, list(_split_binary(request.inputs, body[end:]))


def write_response(
    request: InferenceRequest, model: Model, values: dict[str, Array], accepted: str
) -> Response:
    """Add the outputs asked for, in that order, else all, and compress it as `accepted` allows.

    Binary data stands after the JSON. Raises InvalidTensors.
    """
    wanted = request.outputs or [RequestOutput(name=name) for name in values]
    if len({output.name for output in wanted}) < len(wanted):
        raise InvalidTensors("An output is asked for twice. Ask for each once.")
    default = (request.parameters or {}).get("binary_data_output") is True
    outputs = [_write_output(output, values, default) for output in wanted]
    document = {"model_name": model.description.name, "model_version": model.version}
    document |= {} if request.id is None else {"id": request.id}
    text = to_json(document | {"outputs": [head for head, _ in outputs]})
    binaries = [binary for _, binary in outputs if binary is not None]
    headers = {"Content-Type": "application/json", "Vary": "Accept-Encoding"}
    if binaries:
        headers |= {"Content-Type": "application/octet-stream", HEADER: str(len(text))}
    body = b"".join([text, *binaries])
    encoding = _choose(accepted)
    if encoding and len(body) >= SMALLEST_COMPRESSED:
        body, headers["Content-Encoding"] = _COMPRESS[encoding](body), encoding
    return Response(body, headers=headers)


def _split_binary(
    inputs: list[RequestInput], binary: bytes
) -> Iterator[tuple[RequestInput, bytes | None]]:
    start = 0
    for tensor in inputs:
        size = (tensor.parameters or {}).get("binary_data_size")
        if size is None:
            yield tensor, None
            continue
        if type(size) is not int or not 0 <= size <= len(binary) - start:
            left = f"{len(binary) - start} bytes are left after the JSON, whose end {HEADER} gives"
            raise InvalidTensors(
                f"Input {shorten(tensor.name)}: binary_data_size is wrong; {left}."
            )
        yield tensor, binary[start : start + size]
        start += size
    if start != len(binary):
        left = f"{len(binary) - start} bytes of binary data are of no input"
        raise InvalidTensors(f"{left}. Give each input's binary_data_size.")


def _write_output(
    output: RequestOutput, values: dict[str, Array], default: bool
) -> tuple[dict[str, Any], bytes | None]:
    """The output's head, and what comes for it after the JSON, if its values are not in there."""
    if output.name not in values:
        known = ", ".join(values)
        raise InvalidTensors(f"There is no output {shorten(output.name)}. Ask for {known}.")
    parameters = output.parameters or {}
    for refused in _REFUSED_PARAMETERS:
        if refused in parameters:
            raise InvalidTensors(f"Output {output.name}: {refused} is not offered. Leave it out.")
    tensor = values[output.name]
    datatype = name_datatype(tensor)
    head = {"name": output.name, "datatype": datatype, "shape": list(tensor.shape)}
    if parameters.get("binary_data", default) is not True:
        return head | {"data": tensor.ravel().tolist()}, None
    binary = write_text(tensor.tolist()) if datatype == TEXT else tensor.tobytes()
    return head | {"parameters": {"binary_data_size": len(binary)}}, binary


def _choose(accepted: str) -> str | None:
    """Of the compressions a client takes, the first that is offered here."""
    taken = set()
    for part in accepted.lower().split(","):
        name, _, weight = part.replace(" ", "").partition(";q=")
        if weight.strip("0.") or not weight:
            taken.add(name)
    return next((encoding for encoding in _COMPRESS if encoding in taken), None)
