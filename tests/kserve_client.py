"""Asks backends in every way kserve's client can, and prints how many answers were right."""

import asyncio
import itertools
import json
import sys

import httpx
from client_requests import BOOLEANS, OUTPUTS, expect, list_examples, make_inputs
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput
from kserve.utils.numpy_codec import from_np_dtype


def make_input(name, array, binary):
    tensor = InferInput(name, list(array.shape), from_np_dtype(array.dtype))
    tensor.set_data_from_numpy(array, binary_data=binary)
    return tensor


def make_requests(iris):
    """Each with the case it asks about; halves in JSON are not for kserve to send."""
    for case, whole, binary_in, binary_out in itertools.product(iris["cases"], *[BOOLEANS] * 3):
        if binary_in or case["dtype"] != "float16":
            inputs = make_inputs(make_input, case, iris["names"], whole, binary_in)
            outputs = [RequestedOutput(it, {"binary_data": binary_out}) for it in OUTPUTS]
            for keywords in (
                {"request_outputs": outputs},
                {"parameters": {"binary_data_output": binary_out}},
            ):
                yield case, InferRequest(iris["name"], inputs, request_id="42", **keywords)


def check(result, labels, probabilities):
    expect({it.name: it.as_numpy() for it in result.outputs}, labels, probabilities)


async def ask_for_rows(client, iris):
    asked = 0
    for case, request in make_requests(iris):
        result = await client.infer(iris["url"], request, model_name=iris["name"])
        check(result, case["labels"], case["probabilities"])
        assert result.id == "42"
        asked += 1
    return asked


async def ask_for_features(client, mixed):
    for example, inputs in list_examples(make_input, mixed):
        request = InferRequest(mixed["name"], inputs)
        result = await client.infer(mixed["url"], request, model_name=mixed["name"])
        check(result, [example["label"]], [example["probabilities"]])


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
