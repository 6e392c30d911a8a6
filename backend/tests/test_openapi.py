from conftest import NAMES, SETOSA


def body_schema(client):
    predict = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
    return predict["requestBody"]["content"]["application/json"]["schema"]


def test_the_schema_is_the_live_models(client):
    schema = body_schema(client)

    assert list(schema["properties"]) == NAMES
    assert schema["required"] == NAMES
    assert schema["properties"]["sepal_length"]["description"] == "Training range 0.1 to 7.9 cm"


def test_the_example_can_be_predicted(client):
    [example] = body_schema(client)["examples"]

    assert example == SETOSA
    assert client.post("/predict", json=example).status_code == 200


def test_the_answer_is_shown_for_that_example(client):
    predict = client.get("/openapi.json").json()["paths"]["/predict"]["post"]

    shown = predict["responses"]["200"]["content"]["application/json"]["example"]
    assert shown["prediction_class"] == "setosa"


def test_without_a_model_the_api_is_described_all_the_same(empty_client):
    assert body_schema(empty_client) == {"type": "object"}


def test_the_docs_page_asks_no_other_host(client):
    page = client.get("/docs").text

    assert "http://" not in page
    assert "https://" not in page
