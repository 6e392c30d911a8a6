import re

import pytest
from conftest import MIXED, NAMES, SETOSA
from mixed import INSTANCE, ask, fit_mixed


def describe_predict(client):
    return client.get("/openapi.json").json()["paths"]["/predict"]["post"]


def body_schema(client):
    return describe_predict(client)["requestBody"]["content"]["application/json"]["schema"]


def example_answer(client):
    answer = describe_predict(client)["responses"]["200"]
    return answer["content"]["application/json"]["example"]


def test_the_schema_is_the_live_models_with_an_answer_as_example(client):
    schema = body_schema(client)

    assert list(schema["properties"]) == schema["required"] == NAMES
    assert schema["properties"]["sepal_length"]["description"] == "Training range 0.1 to 7.9 cm"
    assert example_answer(client)["prediction_class"] == "setosa"


@pytest.mark.parametrize("kind", ["client", "mixed_client"])
def test_the_example_can_be_predicted(request, kind):
    client = request.getfixturevalue(kind)

    [example] = body_schema(client)["examples"]

    assert example == {"client": SETOSA, "mixed_client": INSTANCE}[kind]
    assert client.post("/predict", json=example).json()["warnings"] == []


def test_each_type_of_feature_has_its_schema_and_may_be_null_if_it_may_be_missing(mixed_client):
    schema = body_schema(mixed_client)
    shown = schema["properties"]

    assert schema["required"] == ["mass", "tagged", "sex"]
    assert [shown[it]["type"] for it in schema["required"]] == ["number", "boolean", "string"]
    assert shown["sex"]["examples"] == ["female", "male"]
    assert "enum" not in shown["sex"]
    for name, kind in (("age", "number"), ("member", "boolean"), ("island", "string")):
        assert shown[name]["anyOf"] == [{"type": kind}, {"type": "null"}]


def test_an_example_with_a_missing_value_has_its_answer(publish, start_live):
    instance = INSTANCE | {"island": None}
    probabilities = ask(fit_mixed(), instance)
    publish(examples=[{"inputs": instance, "probabilities": probabilities}], **MIXED)

    shown = example_answer(start_live())

    assert list(shown["probabilities"].values()) == pytest.approx(probabilities)
    assert [it["feature"] for it in shown["warnings"]] == ["island"]


def test_without_a_model_the_api_is_described_all_the_same(empty_client):
    assert body_schema(empty_client) == {"type": "object"}


def test_the_open_protocol_is_described_with_its_failures(client):
    paths = client.get("/openapi.json").json()["paths"]

    infer = paths["/v2/models/{name}/infer"]["post"]
    for it in (infer["requestBody"], infer["responses"]["200"]):
        assert sorted(it["content"]) == ["application/json", "application/octet-stream"]
    for path, methods in paths.items():
        if path.startswith(("/v1", "/v2")):
            for method in methods.values():
                failures = [it for status, it in method["responses"].items() if status != "200"]
                assert all(list(it["content"]) == ["application/json"] for it in failures)


def test_the_examples_of_the_open_protocol_can_be_asked(client):
    paths = client.get("/openapi.json").json()["paths"]

    for path in ("/v2/models/{name}/infer", "/v1/models/{name}:predict"):
        content = paths[path]["post"]["requestBody"]["content"]
        [example] = content["application/json"]["schema"]["examples"]
        assert client.post(path.format(name="iris"), json=example).status_code == 200


def test_schemas_and_docs_refer_to_nothing_that_is_not_there(client):
    document, page = client.get("/openapi.json"), client.get("/docs").text

    references = re.findall(r'"\$ref":"#/components/schemas/([^"]+)"', document.text)
    assert references
    assert set(references) <= set(document.json()["components"]["schemas"])
    assert "#/$defs" not in document.text
    assert not re.search("https?://", page)  # of another host
