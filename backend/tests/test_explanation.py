import json
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
from conftest import NAMES, SETOSA, VERSION, drop, fit, fit_iris, number, publish_in
from mixed import FEATURES, INSTANCE, ask, fit_mixed
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from routes import explain

OLDER = "2026_11_20_T00_00_00"
VIRGINICA = dict(zip(NAMES, [6.7, 3.0, 5.2, 2.3], strict=True))
MEDIANS = dict.fromkeys(NAMES, 3.5)
BASELINES = {"age": 41.0, "mass": 41.0, "member": True, "tagged": False}
BASELINES |= {"island": "Dream", "sex": "male"}


def ask_iris(instance, estimator=None):
    [row] = (estimator or fit()).predict_proba([[instance[name] for name in NAMES]]).tolist()
    return row


def ask_mixed(instance):
    return ask(fit_mixed(), instance)


def compute(instance, baselines, answer):
    """Contributions by as many questions as there are features."""
    before = answer(instance)
    index = before.index(max(before))
    changes = {name: answer(instance | {name: baselines[name]})[index] for name in instance}
    return {name: before[index] - changed for name, changed in changes.items()}


def explained(client, instance, **params):
    response = client.post("/explain", json=instance, params=params)
    assert response.status_code == 200, response.text
    return response.json()


def contributions(answer):
    return {it["feature"]: it["contribution"] for it in answer["contributions"]}


def draw_curve(client, instance, feature):
    return explained(client, instance, vary=feature)["curve"]


@pytest.mark.parametrize("instance", [SETOSA, VIRGINICA])
def test_a_contribution_is_the_difference_the_estimator_itself_makes(client, instance):
    answer = explained(client, instance)

    predicted = client.post("/predict", json=instance).json()
    assert answer["model_version"] == VERSION
    assert answer["prediction_class"] == predicted["prediction_class"]
    assert answer["probability"] == pytest.approx(max(ask_iris(instance)))
    assert contributions(answer) == pytest.approx(compute(instance, MEDIANS, ask_iris), abs=1e-12)
    assert max(map(abs, contributions(answer).values())) > 0.01


def test_features_come_in_the_models_order_with_what_they_were_compared_with(client):
    answer = explained(client, dict(reversed(SETOSA.items())))

    assert [it["feature"] for it in answer["contributions"]] == NAMES
    assert [it["value"] for it in answer["contributions"]] == list(SETOSA.values())
    assert [it["baseline"] for it in answer["contributions"]] == [3.5] * 4


def test_what_is_at_its_baseline_contributes_nothing_at_all(publish, start_live):
    X = np.random.default_rng(0).random((70, 60))
    estimator = LogisticRegression(C=100, max_iter=1000)
    estimator.fit(X, [f"class {row % 7}" for row in range(70)])
    medians = {f"x{place}": place / 60 for place in range(60)}
    features = [number(name, median=it) for name, it in medians.items()]
    publish(estimator=estimator, instance=medians, features=features)

    answer = explained(start_live(), medians)

    assert list(contributions(answer).values()) == [0] * 60


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"member": False, "tagged": True},
        {"age": None, "member": None, "island": None},
        {"island": "Elsewhere", "sex": "male"},
    ],
)
def test_every_type_is_compared_with_its_median_or_its_mode(mixed_client, changes):
    instance = INSTANCE | changes

    answer = explained(mixed_client, instance)

    expected = compute(instance, BASELINES, ask_mixed)
    assert contributions(answer) == pytest.approx(expected, abs=1e-12)
    assert {it["feature"]: it["baseline"] for it in answer["contributions"]} == BASELINES
    assert {it["feature"]: it["value"] for it in answer["contributions"]} == instance


ELSEWHERE = FEATURES[4] | {"values": ["Biscoe", "Elsewhere"], "mode": "Elsewhere"}
TOO_LARGE = [number("sepal_length"), number("sepal_width", median=1.7e308), *map(number, NAMES[2:])]
REFUSING = {
    "estimator": fit_mixed(unknown="error"),
    "instance": INSTANCE,
    "features": [*FEATURES[:4], ELSEWHERE, FEATURES[5]],
}


@pytest.mark.parametrize(
    ("published", "instance", "feature"),
    [({"features": TOO_LARGE}, SETOSA, "sepal_width"), (REFUSING, INSTANCE, "island")],
    ids=["without an answer", "refused"],
)
def test_a_change_that_the_estimator_does_not_answer_has_no_contribution(
    publish, start_live, published, instance, feature
):
    publish(**published)

    found = contributions(explained(start_live(), instance))

    assert found.pop(feature) is None
    assert None not in found.values()


def test_a_published_version_is_explained_by_its_own_medians(live_client, publish):
    publish(OLDER, fit(C=0.01), features=[number(name, median=2.0) for name in NAMES])

    answer = explained(live_client, SETOSA, version=OLDER)

    medians = dict.fromkeys(NAMES, 2.0)
    expected = compute(SETOSA, medians, lambda instance: ask_iris(instance, fit(C=0.01)))
    assert answer["model_version"] == OLDER
    assert contributions(answer) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("put", "reason"),
    [
        (lambda folder: drop(folder, fit()), "has no manifest"),
        (lambda folder: publish_in(folder, estimator=fit_iris(LinearSVC())), "no predict_proba"),
    ],
    ids=["no manifest", "no probabilities"],
)
def test_a_model_that_cannot_be_explained_says_why(tmp_path, start_live, put, reason):
    put(tmp_path)
    client = start_live()

    response = client.post("/explain", json=SETOSA)

    assert response.status_code == 409
    assert response.json()["title"] == "Not explainable"
    assert reason in response.json()["detail"]
    assert client.post("/predict", json=SETOSA).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"sepal_length": "1", "petal": 2}', 422),
        (json.dumps(dict.fromkeys(NAMES, 1.7e308)).encode(), 422),
        (b" " * 100_000, 413),
    ],
)
def test_an_instance_that_cannot_be_predicted_fails_as_it_does_there(client, body, status):
    headers = {"Content-Type": "application/json"}

    predicted, response = (
        client.post(path, content=body, headers=headers) for path in ("/predict", "/explain")
    )

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    without_id = {"request_id": ""}
    assert response.json() | without_id == predicted.json() | without_id


def test_a_body_that_is_not_declared_as_json_answers_415(client):
    assert client.post("/explain", content=json.dumps(SETOSA)).status_code == 415


def test_an_unknown_version_answers_404_and_a_refused_one_409(live_client, publish):
    publish(OLDER, size=1)

    versions = ({"version": it} for it in ("1", OLDER))
    found = [live_client.post("/explain", json=SETOSA, params=it) for it in versions]

    assert [it.json()["title"] for it in found] == ["Unknown version", "Version refused"]
    assert [it.status_code for it in found] == [404, 409]


def test_others_are_answered_while_an_explanation_is_made(client, monkeypatch):
    started, go_on = Event(), Event()

    def wait(*arguments, explain=explain.explain):
        started.set()
        assert go_on.wait(20), "nobody else was answered"
        return explain(*arguments)

    monkeypatch.setattr(explain, "explain", wait)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(client.post, "/explain", json=SETOSA)
        assert started.wait(20)
        try:
            predicted = client.post("/predict", json=SETOSA)
            assert not asking.done()
        finally:
            go_on.set()

    assert predicted.status_code == 200
    assert asking.result().status_code == 200


def test_the_body_is_described_by_the_live_models_schema(client):
    paths = client.get("/openapi.json").json()["paths"]

    bodies = [paths[path]["post"]["requestBody"] for path in ("/predict", "/explain")]
    assert bodies[0] == bodies[1]
    assert list(bodies[1]["content"]["application/json"]["schema"]["properties"]) == NAMES
    statuses = ["200", "400", "404", "409", "413", "415", "422", "503"]
    assert list(paths["/explain"]["post"]["responses"]) == statuses


def test_a_curve_goes_through_the_training_range_and_the_value_sent(client):
    values = draw_curve(client, SETOSA | {"petal_length": 1.45}, "petal_length")["values"]

    assert values == sorted(set(values))
    assert (values[0], values[-1]) == (0.1, 7.9)
    assert 1.45 in values
    assert 20 < len(values) <= 52
    assert all(round(it, 2) == it for it in values)
    beyond = draw_curve(client, SETOSA | {"petal_length": 50.0}, "petal_length")
    assert beyond["values"][-2:] == [7.9, 50.0]


def require_answers(curve, instance, answer):
    for index, value in enumerate(curve["values"]):
        said = [column[index] for column in curve["probabilities"].values()]
        assert said == pytest.approx(answer(instance | {curve["feature"]: value}), abs=1e-12)


def test_a_curve_is_what_the_estimator_says_at_each_value(client):
    require_answers(draw_curve(client, SETOSA, "petal_length"), SETOSA, ask_iris)


@pytest.mark.parametrize(
    ("feature", "changes", "values"),
    [
        ("island", {}, ["Biscoe", "Dream", "Torgersen", None]),
        ("island", {"island": "Atlantis"}, ["Biscoe", "Dream", "Torgersen", None, "Atlantis"]),
        ("tagged", {}, [False, True]),
    ],
)
def test_a_curve_of_another_type_has_its_values_and_the_missing_one(
    mixed_client, feature, changes, values
):
    curve = draw_curve(mixed_client, INSTANCE | changes, feature)

    assert curve["values"] == values
    require_answers(curve, INSTANCE, ask_mixed)


def test_without_a_feature_to_vary_there_is_no_curve(client):
    assert "curve" not in explained(client, SETOSA)


def test_an_unknown_feature_to_vary_is_named(client):
    response = client.post("/explain", json=SETOSA, params={"vary": "colour"})

    assert response.status_code == 422
    assert response.json()["title"] == "Unknown feature"
    assert response.json()["detail"].startswith("colour is not a feature of this model. It has sep")
