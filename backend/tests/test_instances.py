import json

import numpy as np
import pytest
from conftest import make_model
from mixed import FEATURES, INSTANCE, ask, draw_table, fit_mixed
from sklearn.linear_model import LogisticRegression

UNANSWERED = "The model has no answer to values this large or this unusual."
LONG, RTL = "x" * 60_000, "\u202e"
BODY = json.dumps(INSTANCE)
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def serve(publish, start_live):
    """Start an app on a model of some of the features, its manifest changed as told."""

    def run(estimator, names, **changes):
        features = [it | changes.get(it["name"], {}) for it in FEATURES if it["name"] in names]
        instance = {name: INSTANCE[name] for name in names}
        publish(estimator=estimator, instance=instance, features=features)
        return start_live()

    return run


def predict(client, changes):
    return client.post("/predict", json=INSTANCE | changes)


def without(name):
    return {key: value for key, value in INSTANCE.items() if key != name}


def details(response):
    return [error["detail"] for error in response.json()["errors"]]


def warnings(response):
    assert response.status_code == 200
    return {it["feature"]: it["detail"] for it in response.json()["warnings"]}


CHANGES = [{}, {"age": None}, {"member": None}, {"island": None}, {"island": "Torgersen"}]
CHANGES += [{"island": "Mars"}, {"member": False, "tagged": True, "sex": "male"}]
CHANGES += [{"age": None, "member": None, "island": None}]


@pytest.mark.parametrize("changes", CHANGES)
def test_the_answer_is_that_to_a_table_of_such_a_row(mixed_client, changes):
    answer = predict(mixed_client, changes).json()

    expected = ask(fit_mixed(), INSTANCE | changes)
    assert list(answer["probabilities"].values()) == pytest.approx(expected, abs=1e-12)


def test_without_text_it_is_so_too(serve):
    names = ("age", "member")
    client = serve(fit_mixed(names), names)

    for changes in ({}, {"age": None}, {"member": None}):
        instance = {"age": 40.0, "member": True} | changes
        answer = client.post("/predict", json=instance).json()
        expected = ask(fit_mixed(names), instance)
        assert list(answer["probabilities"].values()) == pytest.approx(expected, abs=1e-12)


def test_an_estimator_is_asked_with_floats_text_and_nan_or_with_floats_alone():
    mixed, numbers = (make_model(fit_mixed(), features=FEATURES[:it]) for it in (6, 4))

    [row] = mixed.to_array([[None, 4.5, True, None, "Biscoe", None]])
    X = numbers.to_array([[None, 4.5, True, False]])

    assert [type(value) for value in row] == [float, float, float, float, str, float]
    assert row[[1, 2, 4]].tolist() == [4.5, 1.0, "Biscoe"]
    assert np.isnan(row[[0, 3, 5]].astype(float)).all()
    assert X.dtype == np.float64
    assert np.array_equal(X, [[np.nan, 4.5, 1.0, 0.0]], equal_nan=True)


def test_what_the_table_lacked_too_may_be_null_or_left_out_and_nothing_else(mixed_client):
    for name in ("age", "member", "island"):
        instances = (INSTANCE | {name: None}, without(name))
        answers = [mixed_client.post("/predict", json=it) for it in instances]

        said = {name: f"{name} is missing; the model fills it in as it learned to."}
        assert [warnings(answer) for answer in answers] == [said, said]
        assert answers[0].json()["probabilities"] == answers[1].json()["probabilities"]
    for name in ("mass", "tagged", "sex"):
        response = mixed_client.post("/predict", json=without(name))

        assert response.status_code == 422
        assert details(response) == [f"{name} is missing."]


@pytest.mark.parametrize(
    ("name", "values", "detail"),
    [
        ("mass", [None], "mass must be a number."),
        ("age", [True, "40"], "age must be a number."),
        ("tagged", [None, 1], "tagged must be true or false."),
        ("member", ["true"], "member must be true or false."),
        ("sex", [None], 'sex must be text, such as "female" or "male".'),
        ("island", [3, True, ["Dream"]], 'island must be text, such as "Biscoe" or "Dream".'),
    ],
)
def test_a_value_of_another_type_is_named(mixed_client, name, values, detail):
    for value in values:
        response = predict(mixed_client, {name: value})

        assert response.status_code == 422
        assert details(response) == [detail]
        assert response.json()["errors"][0]["pointer"] == f"#/{name}"
    every = predict(mixed_client, {"tagged": 0, "sex": None, name: values[0]}).json()["errors"]
    assert {it["pointer"] for it in every} == {"#/tagged", "#/sex", f"#/{name}"}


def test_an_unknown_value_is_answered_with_a_warning_as_a_rare_one(mixed_client):
    response = predict(mixed_client, {"island": "Mars"})

    said = 'island "Mars" is not a value the model knows; it is treated as a rare one.'
    assert warnings(response) == {"island": said}
    rare = predict(mixed_client, {"island": "Torgersen"})
    assert rare.json()["probabilities"] == response.json()["probabilities"]


@pytest.mark.parametrize(
    "text", ["", " ", "\0", "Dream\0", "dream", "nan", "None", "🐧", "\u202e", LONG]
)
def test_any_text_is_a_value_and_repeated_only_so_far(mixed_client, text):
    response = predict(mixed_client, {"island": text})

    assert list(warnings(response)) == ["island"]
    assert len(response.content) < 1000
    assert warnings(predict(mixed_client, {})) == {}  # to a row like those of the table


@pytest.mark.parametrize(
    ("island", "status"),
    [
        (r'"\ud800"', 400),
        ('"Dream', 400),
        ("NaN", 422),
        (r'"Mars", "island": "Dream"', 200),
        ('"' + "x" * 100_000 + '"', 413),
        ("9" * 400, 422),
        ("{}", 422),
    ],
    ids=["half a character", "half a text", "NaN", "twice", "too long", "digits", "an object"],
)
def test_whatever_is_sent_has_its_answer(mixed_client, island, status):
    body = BODY.replace('"Biscoe"', island)

    response = mixed_client.post("/predict", content=body, headers=JSON)

    assert response.status_code == status
    if status == 200:
        assert response.json()["warnings"] == []  # the last one counts


def test_an_unknown_value_that_the_model_does_not_take_is_named(serve):
    client = serve(fit_mixed(unknown="error"), INSTANCE)

    response = predict(client, {"island": "Mars", "sex": "?"})

    assert response.status_code == 422
    unknown = [f"{it} is not a value the model knows." for it in ('island "Mars"', 'sex "?"')]
    assert details(response) == [UNANSWERED, *unknown]
    assert predict(client, {}).status_code == 200


def test_a_missing_value_that_the_model_does_not_take_is_named(serve):
    table = draw_table()[["mass", "tagged"]]
    estimator = LogisticRegression().fit(table, np.where(table.tagged, "yes", "no"))
    client = serve(estimator, ["mass", "tagged"], mass={"nullable": True})

    response = client.post("/predict", json={"tagged": True})

    assert response.status_code == 422
    assert details(response) == [UNANSWERED, "mass is missing."]


def test_a_body_has_room_for_the_longest_value_the_model_knows(serve):
    longest = "ü" * 50_000
    known = {"island": {"values": ["Biscoe", longest], "mode": longest}}
    client = serve(fit_mixed(), INSTANCE, **known)

    response = predict(client, {"island": longest})

    assert warnings(response) == {}
