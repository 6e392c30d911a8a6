"""Makes the tensors of an answer."""

from typing import Any, NamedTuple

import numpy as np

from errors import InvalidTensors, shorten
from open_inference.inputs import list_some
from open_inference.protocol import InferenceRequest, RequestOutput
from open_inference.tensors import TEXT, Array, write_text

# Of extensions that are not offered; left out unsaid, the answer would not be what was asked for.
_REFUSED_PARAMETERS = ("classification", "shared_memory_region")


class Output(NamedTuple):
    """`binary` is None where the values are in the JSON."""

    head: dict[str, Any]
    binary: bytes | None


def name_outputs(
    classes: list[str], indices: Array, probabilities: Array | None
) -> dict[str, Array]:
    """Every output by its name; raises InvalidTensors naming the rows without an answer."""
    if (indices < 0).any():
        rows = list_some(np.flatnonzero(indices < 0).tolist())
        message = "The model has no answer to values this large or this unusual"
        raise InvalidTensors(f"{message}: see row {rows}, counted from 0.")
    outputs = {
        "predict": indices.astype(np.int64),
        "label": np.array(classes, dtype=object)[indices],
    }
    return outputs if probabilities is None else outputs | {"predict_proba": probabilities}


def write_outputs(request: InferenceRequest, values: dict[str, Array]) -> list[Output]:
    """Those asked for, in that order, else all; raises InvalidTensors."""
    wanted = request.outputs or [RequestOutput(name=name) for name in values]
    if len({output.name for output in wanted}) < len(wanted):
        raise InvalidTensors("An output is asked for twice. Ask for each once.")
    default = (request.parameters or {}).get("binary_data_output") is True
    return [_write(output, values, default) for output in wanted]


def _write(output: RequestOutput, values: dict[str, Array], default: bool) -> Output:
    if output.name not in values:
        known = ", ".join(values)
        raise InvalidTensors(f"There is no output {shorten(output.name)}. Ask for {known}.")
    parameters = output.parameters or {}
    for refused in _REFUSED_PARAMETERS:
        if refused in parameters:
            raise InvalidTensors(f"Output {output.name}: {refused} is not offered. Leave it out.")
    tensor = values[output.name]
    datatype = {"i": "INT64", "f": "FP64", "O": TEXT}[tensor.dtype.kind]
    head = {"name": output.name, "datatype": datatype, "shape": list(tensor.shape)}
    if parameters.get("binary_data", default) is not True:
        return Output(head | {"data": tensor.ravel().tolist()}, None)
    binary = write_text(tensor.tolist()) if datatype == TEXT else tensor.tobytes()
    return Output(head | {"parameters": {"binary_data_size": len(binary)}}, binary)
