import pytest
from conftest import NAMES, SETOSA, VERSION, fit

BODY = b'{"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}'


def post(client, body):
    return client.post("/predict", content=body, headers={"Content-Type": "application/json"})


def test_a_prediction_is_the_estimators_own(client):
    answer = client.post("/predict", json=SETOSA).json()

    expected = fit().predict_proba([[SETOSA[name] for name in NAMES]])[0]
    assert (answer["prediction"], answer["prediction_class"]) == (0, "setosa")
    assert list(answer["probabilities"].values()) == pytest.approx(list(expected))
    assert (answer["model_version"], answer["warnings"]) == (VERSION, [])


def test_neither_the_order_of_features_nor_whole_numbers_matter(client):
    whole = {name: round(value) for name, value in SETOSA.items()}
    instances = (whole, dict(reversed(whole.items())), {k: float(v) for k, v in whole.items()})

    answers = [client.post("/predict", json=it).json()["probabilities"] for it in instances]

    assert answers[0] == answers[1] == answers[2]


def test_a_value_outside_the_training_range_is_answered_with_a_warning(client):
    response = client.post("/predict", json=SETOSA | {"petal_length": 12})

    assert response.status_code == 200
    [warning] = response.json()["warnings"]
    assert warning["feature"] == "petal_length"
    assert "petal_length 12 is outside the training range 0.1 to 7.9 cm" in warning["detail"]


def test_a_value_that_is_no_finite_number_is_named(client):
    for detail, values in (
        ("sepal_length must be a number.", ['"5.1"', "true", "null", "[5.1]"]),
        ("sepal_length must be a finite number.", ["NaN", "-Infinity", "1e400"]),
    ):
        for value in values:
            response = post(client, BODY.replace(b"5.1", value.encode()))

            assert response.status_code == 422
            assert [error["detail"] for error in response.json()["errors"]] == [detail]


def test_every_missing_and_every_unknown_feature_is_named_but_not_endlessly(client):
    response = client.post("/predict", json={"sepal_length": 5.1, "petal": 1, "a/b~c": 2})
    many = client.post("/predict", json={f"x{index}": 1 for index in range(1000)})

    assert response.status_code == many.status_code == 422
    pointers = [error["pointer"] for error in response.json()["errors"]]
    known = ["#/sepal_width", "#/petal_length", "#/petal_width"]
    assert pointers == [*known, "#/petal", "#/a~1b~0c"]
    assert len(many.json()["errors"]) == 100
    assert many.json()["detail"].endswith("And 904 more.")


def test_a_body_that_is_no_object_is_told_the_features_and_one_that_is_no_json_answers_400(client):
    for body in (b"[]", b"3", b'"setosa"', b"null"):
        response = post(client, body)
        assert response.status_code == 422
        assert all(name in response.json()["detail"] for name in NAMES)
    no_key = b'{"sepal_length\xff": 1}'
    for body in (b"", b"{", BODY + b"x", b"\xff\xfe", no_key, b"[" * 50_000):
        response = post(client, body)
        assert response.status_code == 400
        assert response.json()["title"] == "Malformed JSON"
