import json

import numpy as np
import pytest
from open_protocol import ROWS, describe_tensor, pack, pack_array, pack_texts

URL = "/v2/models/iris/infer"
LENGTH = "Inference-Header-Content-Length"
X = describe_tensor("x", ROWS)
MASS = describe_tensor("mass", [4.5])
TAGGED = describe_tensor("tagged", [True], "?")
SEX = describe_tensor("sex", ["male"], str)


def said(response, status=422):
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert list(response.json()) == ["error"]
    return response.json()["error"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"datatype": "FP128"}, "Input x has the unknown datatype FP128. Use BOOL, INT8"),
        ({"datatype": "fp64"}, "unknown datatype fp64"),
        ({"datatype": "BYTES"}, "must hold text or null"),
        ({"datatype": "INT32"}, "must hold whole numbers or null"),
        ({"datatype": "BOOL"}, "must hold true, false or null"),
        ({"data": [True] * 8}, "must hold numbers or null"),
        ({"data": ["5.1"] * 8}, "must hold numbers or null"),
        ({"data": [300] * 8, "datatype": "UINT8"}, "Input x has a number beyond UINT8."),
        ({"data": [1e39] * 8, "datatype": "FP32"}, "sepal_length must be finite: see row 0, 1"),
        ({"data": [10**400] * 8}, "Input x has a number beyond FP64."),
        ({"data": [None] * 8}, "sepal_length must not be missing: see row 0, 1, counted from 0."),
        ({"data": [1.0] * 7}, "Input x has 7 values; its shape is [2, 4]"),
        ({"data": [[1.0] * 4]}, "Input x has 1 rows of data; its shape is [2, 4]"),
        ({"data": [[1.0] * 4, [1.0] * 3]}, "has a row of data without 4 values"),
        ({"data": [[1.0] * 4, 1.0]}, "has a row of data without 4 values"),
        ({"data": [[[1.0]] * 4] * 2}, "must hold numbers or null"),
        ({"data": None}, "Input x needs either data or binary_data_size"),
        ({"shape": [8]}, "Input x has the shape [8]. Send one of shape [rows, 4], or one for each"),
        ({"shape": [4, 2]}, "Input x has the shape [4, 2]."),
        ({"shape": [2, 2, 2]}, "inputs.0.shape: List should have at most 2 items"),
        ({"shape": []}, "inputs.0.shape: List should have at least 1 item"),
        ({"shape": [0, 4], "data": []}, "inputs.0.shape.0: Input should be greater than or equal"),
        ({"shape": [2**63, 4]}, "inputs.0.shape.0: Input should be less than"),
        ({"shape": [2.0, 4]}, "inputs.0.shape.0: Input should be a valid integer"),
        ({"name": None}, "inputs.0.name: Input should be a valid string"),
        ({"parameters": {"binary_data_size": 8}}, "binary_data_size is wrong; 0 bytes are left"),
    ],
)
def test_a_tensor_that_does_not_fit_is_told_why(client, change, message):
    assert message in said(client.post(URL, json={"inputs": [X | change]}))


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "1e400", "NaN"])
def test_a_number_that_is_not_finite_is_told_with_its_row(client, number):
    body = json.dumps({"inputs": [X]}).replace("4.9", number)

    expected = "missing" if number == "NaN" else "finite"
    message = said(client.post(URL, content=body))
    assert message.startswith("petal_length must ")
    assert message.endswith(f"{expected}: see row 1, counted from 0.")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([MASS, TAGGED], "Inputs missing: sex. The features are age, mass, member, tagged,"),
        ([MASS, TAGGED, SEX, SEX], "Inputs more than once: sex."),
        ([MASS, TAGGED, SEX, X], "Inputs of no feature: x."),
        ([MASS, TAGGED, SEX | {"data": [None]}], "sex must not be missing: see row 0"),
        ([MASS, TAGGED, describe_tensor("sex", [1.0])], "sex takes text, in a BYTES tensor"),
        ([MASS, describe_tensor("tagged", ["yes"], str), SEX], "tagged takes numbers."),
        ([MASS, describe_tensor("tagged", [2], "i8"), SEX], "tagged must be true or false, or 1"),
        ([MASS, TAGGED, describe_tensor("sex", ["male"] * 2, str)], "have 1 and 2 rows"),
        ([describe_tensor("mass", [[1.0, 2.0]]), TAGGED, SEX], "own is [rows] or [rows, 1]"),
        ([describe_tensor("x", [[1.0] * 6])], "island takes text, in a BYTES tensor of its own."),
        ([], "inputs: List should have at least 1 item"),
    ],
)
def test_tensors_that_are_not_the_features_are_told_which_are(mixed_client, inputs, message):
    assert message in said(mixed_client.post(URL, json={"inputs": inputs}))


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (("x", "FP64", [2, 4], b"12345678"), "Input x has 8 bytes, not 64,"),
        (("x", "BOOL", [1, 4], b"\0\1\2\1"), "must hold bytes 0 and 1"),
        (("x", "BYTES", [1, 4], b"\1\0\0\0a"), "Input x has 1 texts"),
        (("x", "BYTES", [1, 4], b"\xff\0\0\0a"), "ends within a text"),
        (("x", "BYTES", [1, 4], b"\1\0"), "ends within a text"),
        (("x", "BYTES", [1, 4], b"\1\0\0\0\xff"), "must hold text in UTF-8"),
        (pack_array(np.array([[1.0, np.nan, 1.0, 1.0]])), "sepal_width must not be missing"),
        (pack_array(np.array([[1.0, 1.0, 1.0, np.inf]])), "petal_width must be finite"),
    ],
)
def test_binary_data_that_does_not_fit_is_told_why(client, tensor, message):
    body, headers = pack([tensor])

    assert message in said(client.post(URL, content=body, headers=headers))


@pytest.mark.parametrize("size", [-1, 65, "64", True, 64.0])
def test_a_binary_data_size_that_is_none_is_told_what_is_left(client, size):
    head = X | {"parameters": {"binary_data_size": size}}
    del head["data"]
    text = json.dumps({"inputs": [head]}).encode()

    response = client.post(URL, content=text + bytes(64), headers={LENGTH: str(len(text))})

    assert "binary_data_size is wrong; 64 bytes are left" in said(response)


def test_binary_data_of_no_input_and_a_wrong_length_of_the_json_are_told(client):
    body, headers = pack([pack_array(np.array(ROWS))])

    response = client.post(URL, content=body + b"123", headers=headers)

    assert said(response).startswith("3 bytes of binary data are of no input.")
    for length in ("-1", "x", "", "99999", "9" * 5000):
        refused = client.post(URL, content=body, headers={LENGTH: length})

        assert said(refused, status=400).startswith(f"{LENGTH} ")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"name": "classes"}, "There is no output classes. Ask for predict, label, predict_proba."),
        ({"name": "label", "parameters": {"classification": 2}}, "classification is not offered"),
        ({"name": "label", "parameters": {"shared_memory_region": "r"}}, "_region is not offered"),
        ({}, "outputs.0.name: Field required"),
    ],
)
def test_an_output_that_is_not_offered_is_told_which_are(client, output, message):
    response = client.post(URL, json={"inputs": [X], "outputs": [output]})

    assert message in said(response)


def test_rows_without_an_answer_are_numbered_but_not_all_nor_long_names(client):
    rows = [ROWS[0], [1.7e308] * 4, ROWS[1], [-1.7e308] * 4]
    tensors = [("x", rows), ("x", [[None] * 4] * 1000), ("x" * 10_000, [1.0])]

    some, many, long = (
        said(client.post(URL, json={"inputs": [describe_tensor(*tensor)]})) for tensor in tensors
    )

    assert "this large or this unusual: see row 1, 3, counted from 0." in some
    assert "19 and 980 more, counted from 0." in many
    assert len(long) < 1000


def test_text_in_binary_is_any_text(mixed_client):
    body, headers = pack([MASS, TAGGED, pack_texts(["Träumerei 🏝"], "sex")])

    assert mixed_client.post(URL, content=body, headers=headers).status_code == 200
