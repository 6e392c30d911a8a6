"""Makes requests of the Open Inference Protocol by hand, and reads their answers."""

import json

import numpy as np

KINDS = [("f", "FP", "248"), ("i", "INT", "1248"), ("u", "UINT", "1248")]
DATATYPES = {f"{kind}{n}": f"{name}{8 * int(n)}" for kind, name, sizes in KINDS for n in sizes}
DATATYPES |= {"?": "BOOL"}
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.1, 2.7, 4.9, 1.8]]  # one of the first class, one of the last


def describe_tensor(name, values, dtype="f8"):
    """As JSON, flat; text where the values are."""
    shape = list(np.shape(values))
    datatype = "BYTES" if dtype is str else DATATYPES[dtype]
    flat = np.array(values, dtype=object).ravel().tolist()
    return {"name": name, "shape": shape, "datatype": datatype, "data": flat}


def pack(inputs, **request):
    """A body of JSON and binary tensors, with the headers that say where one ends.

    A dictionary is a tensor in JSON.
    """
    heads = [tensor for tensor in inputs if isinstance(tensor, dict)]
    binaries = []
    for name, datatype, shape, binary in (each for each in inputs if type(each) is not dict):
        parameters = {"binary_data_size": len(binary)}
        heads.append({"name": name, "datatype": datatype, "shape": shape, "parameters": parameters})
        binaries.append(binary)
    text = json.dumps({"inputs": heads} | request).encode()
    return b"".join([text, *binaries]), {"Inference-Header-Content-Length": str(len(text))}


def pack_array(array, name="x"):
    datatype = DATATYPES[array.dtype.str.lstrip("<|").replace("b1", "?")]
    return name, datatype, list(array.shape), array.tobytes()


def pack_texts(texts, name):
    encoded = [text.encode() for text in texts]
    binary = b"".join(len(text).to_bytes(4, "little") + text for text in encoded)
    return name, "BYTES", [len(texts)], binary


def unpack(response):
    """Outputs by name: lists of the JSON, and bytes."""
    end = int(response.headers.get("Inference-Header-Content-Length", len(response.content)))
    outputs, start = {}, end
    for output in json.loads(response.content[:end])["outputs"]:
        if "data" in output:
            outputs[output["name"]] = output["data"]
            continue
        size = output["parameters"]["binary_data_size"]
        outputs[output["name"]] = response.content[start : start + size]
        start += size
    assert start == len(response.content)
    return outputs
