"""Asks backends in every way kserve's client can, and prints how many answers were right."""

import asyncio
import itertools
import json
import sys

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput
from kserve.utils.numpy_codec import from_np_dtype

OUTPUTS = ("predict", "label", "predict_proba")
BOOLEANS = (False, True)


def make_input(name, array, binary):
    tensor = InferInput(name, list(array.shape), from_np_dtype(array.dtype))
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


def make_inputs(case, names, whole, binary):
    array = np.array(case["rows"], dtype=case["dtype"])
    if whole:
        return [make_input("anything", array, binary)]
    columns = zip(names, array.T, strict=True)
    return [make_input(name, column.reshape(-1, 1), binary) for name, column in columns]


def make_requests(iris):
    """Each with the case it asks about; halves in JSON are not for kserve to send."""
    for case, whole, binary_in, binary_out in itertools.product(iris["cases"], *[BOOLEANS] * 3):
        if binary_in or case["dtype"] != "float16":
            inputs = make_inputs(case, iris["names"], whole, binary_in)
            outputs = [RequestedOutput(it, {"binary_data": binary_out}) for it in OUTPUTS]
            for keywords in (
                {"request_outputs": outputs},
                {"parameters": {"binary_data_output": binary_out}},
            ):
                yield case, InferRequest(iris["name"], inputs, request_id="42", **keywords)


def expect(result, labels, probabilities):
    outputs = {it.name: it.as_numpy() for it in result.outputs}
    label = [it.decode() if isinstance(it, bytes) else it for it in outputs["label"]]
    assert label == labels
    assert outputs["predict"].dtype == np.int64
    np.testing.assert_allclose(outputs["predict_proba"], probabilities, atol=1e-9)


async def ask_for_rows(client, iris):
    asked = 0
    for case, request in make_requests(iris):
        result = await client.infer(iris["url"], request, model_name=iris["name"])
        expect(result, case["labels"], case["probabilities"])
        assert result.id == "42"
        asked += 1
    return asked


async def ask_for_features(client, mixed):
    """Numbers, booleans and text, each in a tensor of its own; what is missing is not sent."""
    for example, binary in itertools.product(mixed["examples"], BOOLEANS):
        sent = {name: it for name, it in example["inputs"].items() if it is not None}
        kinds = {str: object, bool: bool, float: float, int: float}
        arrays = {name: np.array([it], dtype=kinds[type(it)]) for name, it in sent.items()}
        inputs = [make_input(name, array, binary) for name, array in arrays.items()]
        request = InferRequest(mixed["name"], inputs)
        result = await client.infer(mixed["url"], request, model_name=mixed["name"])
        expect(result, [example["label"]], [example["probabilities"]])


async def ask_about(client, iris):
    assert await client.is_server_live(iris["url"])
    assert await client.is_server_ready(iris["url"])
    assert await client.is_model_ready(iris["url"], iris["name"])
    assert not await client.is_model_ready(iris["url"], "rose")


async def ask_by_v1(client, iris, mixed):
    assert await client.is_model_ready(iris["url"], iris["name"])
    case = next(it for it in iris["cases"] if it["dtype"] == "float64")
    objects = [dict(zip(iris["names"], row, strict=True)) for row in case["rows"]]
    for instances in (case["rows"], objects):
        answer = await client.infer(iris["url"], {"instances": instances}, iris["name"])
        assert answer == {"predictions": case["labels"]}
    instances = [example["inputs"] for example in mixed["examples"]]
    answer = await client.infer(mixed["url"], {"instances": instances}, mixed["name"])
    assert answer == {"predictions": [example["label"] for example in mixed["examples"]]}


async def ask_wrongly(client, iris):
    request = {"instances": [[1]], "inputs": [{"name": "x", "shape": [1], "datatype": "FP128"}]}
    for name, message in (("rose", "There is no model rose"), (iris["name"], "'422")):
        said = "an answer"
        try:
            await client.infer(iris["url"], request, name)
        except httpx.HTTPStatusError as error:
            said = str(error)
        assert message in said, said


async def main(iris, mixed):
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        print(await ask_for_rows(client, iris))
        await ask_for_features(client, mixed)
        await ask_about(client, iris)
        await ask_wrongly(client, iris)
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        await ask_by_v1(client, iris, mixed)
        await ask_wrongly(client, iris)


asyncio.run(main(**json.load(sys.stdin)))
