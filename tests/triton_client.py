"""Asks backends in every way tritonclient can, and prints how many answers were right."""

import asyncio
import itertools
import json
import sys

import numpy as np
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from client_requests import BOOLEANS, OUTPUTS, expect, list_examples, make_inputs
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

COMPRESSIONS = (None, "gzip", "deflate")


class Synchronous:
    """The client that blocks, spoken to as the other."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, name):
        async def call(*arguments, **keywords):
            return getattr(self._client, name)(*arguments, **keywords)

        return call


def make_input(name, array, binary):
    tensor = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    return tensor.set_data_from_numpy(array, binary_data=binary)


def make_requests(iris):
    """The keywords of `infer`, with the case they ask about."""
    forms = itertools.product(iris["cases"], *[BOOLEANS] * 3)
    # Nine pairs meet each of the eight forms, as there are more than nine types of data.
    pairs = itertools.cycle(itertools.product(COMPRESSIONS, repeat=2))
    for number, (case, whole, binary_in, binary_out) in enumerate(forms):
        sent, answered = next(pairs)
        yield (
            case,
            {
                "model_name": iris["name"],
                "inputs": make_inputs(make_input, case, iris["names"], whole, binary_in),
                "outputs": [
                    triton.InferRequestedOutput(it, binary_data=binary_out) for it in OUTPUTS
                ],
                "model_version": ("", iris["version"])[number % 2],
                "request_id": str(number),
                "request_compression_algorithm": sent,
                "response_compression_algorithm": answered,
            },
        )


def check(result, labels, probabilities):
    expect({name: result.as_numpy(name) for name in OUTPUTS}, labels, probabilities)


async def ask_for_rows(client, iris):
    asked = 0
    for case, request in make_requests(iris):
        result = await client.infer(**request)
        check(result, case["labels"], case["probabilities"])
        assert result.get_response()["id"] == request["request_id"]
        assert result.get_response()["model_version"] == iris["version"]
        asked += 1
    del request["outputs"]  # all of them, in binary
    check(await client.infer(**request), case["labels"], case["probabilities"])
    return asked


async def ask_for_features(client, mixed):
    for example, inputs in list_examples(make_input, mixed):
        result = await client.infer(mixed["name"], inputs)
        check(result, [example["label"]], [example["probabilities"]])


async def ask_about(client, iris):
    name, version = iris["name"], iris["version"]
    assert await client.is_server_live()
    assert await client.is_server_ready()
    assert "binary_tensor_data" in (await client.get_server_metadata())["extensions"]
    for of in ((name,), (name, version)):
        assert await client.is_model_ready(*of)
        metadata = await client.get_model_metadata(*of)
        assert [it["name"] for it in metadata["inputs"]] == iris["names"]
        assert [it["name"] for it in metadata["outputs"]] == list(OUTPUTS)
    index = await client.get_model_repository_index()
    assert {"name": name, "version": version, "state": "READY", "reason": ""} in index
    for of in ((), (name,), (name, version)):
        [counted] = (await client.get_inference_statistics(*of))["model_stats"]
        assert counted["inference_count"] > counted["execution_count"] > 0


async def ask_wrongly(client, iris):
    assert not await client.is_model_ready("rose")
    inputs = [make_input("x", np.zeros((1, 3)), True)]
    for name, message in (("rose", "There is no model rose"), (iris["name"], "has the shape")):
        said = "an answer"
        try:
            await client.infer(name, inputs)
        except InferenceServerException as error:
            said = str(error)
        assert message in said, said


async def ask_everything(make_client, iris, mixed):
    client = make_client(iris["address"])
    asked = await ask_for_rows(client, iris)
    await ask_about(client, iris)
    await ask_wrongly(client, iris)
    await client.close()
    client = make_client(mixed["address"])
    await ask_for_features(client, mixed)
    await client.close()
    print(asked)


def main(iris, mixed):
    def block(address):
        return Synchronous(triton.InferenceServerClient(address))

    for make_client in (block, triton_aio.InferenceServerClient):
        asyncio.run(ask_everything(make_client, iris, mixed))


main(**json.load(sys.stdin))
