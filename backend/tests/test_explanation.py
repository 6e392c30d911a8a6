import json
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import joblib
import numpy as np
import pytest
from conftest import NAMES, SETOSA, VERSION, fit, wait_for_version
from mixed import FEATURES, INSTANCE, ask, fit_mixed
from processes import wait_until
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from routes import explain

OLDER = "2026_11_20_T00_00_00"
VIRGINICA = dict(zip(NAMES, [6.7, 3.0, 5.2, 2.3], strict=True))
MEDIANS = dict.fromkeys(NAMES, 3.5)
BASELINES = {
    "age": 41.0,
    "mass": 41.0,
    "member": True,
    "tagged": False,
    "island": "Dream",
    "sex": "male",
}


def number(name, median=3.5):
    edges = {"edges": [0.1, 7.9], "counts": {"setosa": [50]}}
    range_ = {"min": 0.1, "max": 7.9, "mean": 3.0, "median": median, "step": 0.1}
    return range_ | {"name": name, "type": "number", "unit": "cm", "histogram": edges}


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


def test_what_is_at_its_baseline_contributes_nothing_at_all(publish, start):
    X = np.random.default_rng(0).random((70, 60))
    estimator = LogisticRegression(C=100, max_iter=1000)
    estimator.fit(X, [f"class {row % 7}" for row in range(70)])
    medians = {f"x{place}": place / 60 for place in range(60)}
    features = list(map(number, medians, medians.values()))
    publish(estimator=estimator, instance=medians, features=features)
    client = start()
    wait_for_version(client, VERSION)

    answer = explained(client, medians)

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


def test_a_change_without_an_answer_has_no_contribution(publish, start):
    publish(
        features=[number("sepal_length"), number("sepal_width", 1.7e308), *map(number, NAMES[2:])]
    )
    client = start()
    wait_for_version(client, VERSION)

    found = contributions(explained(client, SETOSA))

    assert found.pop("sepal_width") is None
    assert None not in found.values()


def test_a_change_that_the_estimator_refuses_has_no_contribution(publish, start):
    island = FEATURES[4] | {"values": ["Biscoe", "Elsewhere"], "mode": "Elsewhere"}
    features = [*FEATURES[:4], island, FEATURES[5]]
    publish(estimator=fit_mixed(unknown="error"), instance=INSTANCE, features=features)
    client = start()
    wait_for_version(client, VERSION)

    found = contributions(explained(client, INSTANCE))

    assert found.pop("island") is None
    assert None not in found.values()


def test_a_published_version_is_explained_by_its_own_medians(start_live, publish):
    client = start_live()
    publish(OLDER, fit(C=0.01), features=[number(name, 2.0) for name in NAMES])

    answer = explained(client, SETOSA, version=OLDER)

    medians = dict.fromkeys(NAMES, 2.0)
    expected = compute(SETOSA, medians, lambda instance: ask_iris(instance, fit(C=0.01)))
    assert answer["model_version"] == OLDER
    assert contributions(answer) == pytest.approx(expected, abs=1e-12)


def test_a_model_without_a_manifest_cannot_be_explained_and_says_why(tmp_path, start):
    joblib.dump(fit(), tmp_path / f"model_{VERSION}.pkl")
    client = start()
    wait_for_version(client, VERSION)

    response = client.post("/explain", json=SETOSA)

    assert response.status_code == 409
    assert response.json()["title"] == "Not explainable"
    assert "has no manifest" in response.json()["detail"]
    assert client.post("/predict", json=SETOSA).status_code == 200


def test_a_model_without_probabilities_cannot_be_explained_and_says_why(publish, start):
    iris = load_iris()
    publish(estimator=LinearSVC().fit(iris.data, iris.target_names[iris.target]))
    client = start()
    wait_for_version(client, VERSION)

    response = client.post("/explain", json=SETOSA)

    assert response.status_code == 409
    assert response.json()["title"] == "Not explainable"
    assert "has no predict_proba" in response.json()["detail"]
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


def test_an_unknown_version_answers_404_and_a_refused_one_409(start_live, publish):
    client = start_live()
    publish(OLDER, size=1)

    found = [client.post("/explain", json=SETOSA, params={"version": it}) for it in ("1", OLDER)]

    assert [it.json()["title"] for it in found] == ["Unknown version", "Version refused"]
    assert [it.status_code for it in found] == [404, 409]


def test_explain_without_a_model_answers_503(empty_client):
    response = empty_client.post("/explain", json=SETOSA)

    assert response.status_code == 503
    assert response.headers["retry-after"] == "2"


def test_others_are_answered_while_an_explanation_is_made(client, monkeypatch):
    started, go_on = Event(), Event()

    def wait(*arguments, explain=explain.explain):
        started.set()
        assert go_on.wait(10), "nobody else was answered"
        return explain(*arguments)

    monkeypatch.setattr(explain, "explain", wait)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(client.post, "/explain", json=SETOSA)
        wait_until(started.is_set)
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
    instance = SETOSA | {"petal_length": 1.45}

    curve = client.post("/explain", json=instance, params={"vary": "petal_length"}).json()["curve"]

    assert curve["feature"] == "petal_length"
    assert curve["values"] == sorted(set(curve["values"]))
    assert curve["values"][0] == 0.1
    assert curve["values"][-1] == 7.9
    assert 1.45 in curve["values"]
    assert 20 < len(curve["values"]) <= 52
    assert all(round(it, 2) == it for it in curve["values"])


def test_a_curve_is_what_the_estimator_says_at_each_value(client):
    curve = client.post("/explain", json=SETOSA, params={"vary": "petal_length"}).json()["curve"]

    for index, value in enumerate(curve["values"]):
        said = [column[index] for column in curve["probabilities"].values()]
        assert said == pytest.approx(ask_iris(SETOSA | {"petal_length": value}), abs=1e-12)


def test_a_value_outside_the_training_range_is_on_the_curve(client):
    instance = SETOSA | {"petal_length": 50.0}

    curve = client.post("/explain", json=instance, params={"vary": "petal_length"}).json()["curve"]

    assert curve["values"][-2:] == [7.9, 50.0]


def test_a_curve_of_a_category_has_its_values_and_the_missing_one(mixed_client):
    curve = mixed_client.post("/explain", json=INSTANCE, params={"vary": "island"}).json()["curve"]

    assert curve["values"] == ["Biscoe", "Dream", "Torgersen", None]
    for index, value in enumerate(curve["values"]):
        said = [column[index] for column in curve["probabilities"].values()]
        assert said == pytest.approx(ask_mixed(INSTANCE | {"island": value}), abs=1e-12)


def test_a_curve_of_an_unknown_category_has_it_too(mixed_client):
    instance = INSTANCE | {"island": "Atlantis"}

    curve = mixed_client.post("/explain", json=instance, params={"vary": "island"}).json()["curve"]

    assert curve["values"] == ["Biscoe", "Dream", "Torgersen", None, "Atlantis"]


def test_a_curve_of_a_boolean_has_both(mixed_client):
    curve = mixed_client.post("/explain", json=INSTANCE, params={"vary": "tagged"}).json()["curve"]

    assert curve["values"] == [False, True]


def test_without_a_feature_to_vary_there_is_no_curve(client):
    assert "curve" not in explained(client, SETOSA)


def test_an_unknown_feature_to_vary_is_named(client):
    response = client.post("/explain", json=SETOSA, params={"vary": "colour"})

    assert response.status_code == 422
    assert response.json()["title"] == "Unknown feature"
    assert response.json()["detail"].startswith("colour is not a feature of this model. It has sep")
