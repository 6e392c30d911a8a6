import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event

import numpy as np
import pytest
from conftest import NAMES, SETOSA, VERSION, drop, fit, fit_iris, number, publish_in
from formats import JSON
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
    answer = explained(client, dict(reversed(instance.items())))

    predicted = client.post("/predict", json=instance).json()
    assert answer["model_version"] == VERSION
    assert answer["prediction_class"] == predicted["prediction_class"]
    assert answer["probability"] == pytest.approx(max(ask_iris(instance)))
    assert contributions(answer) == pytest.approx(compute(instance, MEDIANS, ask_iris), abs=1e-12)
    assert max(map(abs, contributions(answer).values())) > 0.01
    order = [(it["feature"], it["value"], it["baseline"]) for it in answer["contributions"]]
    assert order == [(name, instance[name], 3.5) for name in NAMES]
    assert "curve" not in answer


def test_what_is_at_its_baseline_contributes_nothing_at_all(publish, start_live):
    X = np.random.default_rng(0).random((70, 60))
    estimator = LogisticRegression(C=100, max_iter=1000)
    estimator.fit(X, [f"class {row % 7}" for row in range(70)])
    medians = {f"x{place}": place / 60 for place in range(60)}
    features = [number(name, median=it) for name, it in medians.items()]
    publish(estimator=estimator, instance=medians, features=features)

    answer = explained(start_live(), medians)

    assert list(contributions(answer).values()) == [0] * 60


def test_every_type_is_compared_with_its_median_or_its_mode(mixed_client):
    for changes in (
        {},
        {"member": False, "tagged": True},
        {"age": None, "member": None, "island": None},
        {"island": "Elsewhere", "sex": "male"},
    ):
        instance = INSTANCE | changes

        answer = explained(mixed_client, instance)

        expected = compute(instance, BASELINES, partial(ask, fit_mixed()))
        assert contributions(answer) == pytest.approx(expected, abs=1e-12)
        assert {it["feature"]: it["baseline"] for it in answer["contributions"]} == BASELINES
        assert {it["feature"]: it["value"] for it in answer["contributions"]} == instance


ELSEWHERE = FEATURES[4] | {"values": ["Biscoe", "Elsewhere"], "mode": "Elsewhere"}
TOO_LARGE = [number("sepal_length"), number("sepal_width", median=1.7e308), *map(number, NAMES[2:])]
REFUSING = {"estimator": fit_mixed(unknown="error"), "instance": INSTANCE}
REFUSING |= {"features": [*FEATURES[:4], ELSEWHERE, FEATURES[5]]}


@pytest.mark.parametrize(
    ("published", "instance", "feature"),
    [({"features": TOO_LARGE}, SETOSA, "sepal_width"), (REFUSING, INSTANCE, "island")],
    ids=["without an answer", "refused"],
)
def test_an_unanswered_change_contributes_none(publish, start_live, published, instance, feature):
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


@pytest.mark.parametrize("has_manifest", [False, True])
def test_a_model_that_cannot_be_explained_says_why(tmp_path, start_live, has_manifest):
    if has_manifest:
        publish_in(tmp_path, estimator=fit_iris(LinearSVC()))
    else:
        drop(tmp_path, fit())
    client = start_live()

    response = client.post("/explain", json=SETOSA)

    assert response.status_code == 409
    assert response.json()["title"] == "Not explainable"
    said = "no predict_proba" if has_manifest else "has no manifest"
    assert said in response.json()["detail"]
    assert client.post("/predict", json=SETOSA).status_code == 200


BODY = json.dumps(SETOSA).encode()


def test_what_cannot_be_predicted_fails_as_it_does_there(live_client, publish):
    publish(OLDER, size=1)
    for body, query, media_type, status in (
        (b"{", "", JSON, 400),
        (b'{"sepal_length": "1", "petal": 2}', "", JSON, 422),
        (BODY.replace(b"5.1", b"1.7e308").replace(b"0.2", b"1.7e308"), "", JSON, 422),
        (b" " * 100_000, "", JSON, 413),
        (BODY, "", "text/plain", 415),
        (BODY, "?version=1", JSON, 404),
        (BODY, f"?version={OLDER}", JSON, 409),
    ):
        predicted, response = (
            live_client.post(path + query, content=body, headers={"Content-Type": media_type})
            for path in ("/predict", "/explain")
        )

        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        without_id = {"request_id": ""}
        assert response.json() | without_id == predicted.json() | without_id


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
        predicted = client.post("/predict", json=SETOSA)
        is_done = asking.done()
        go_on.set()

    assert not is_done
    assert predicted.status_code == asking.result().status_code == 200


def test_the_body_is_described_by_the_live_models_schema(client):
    paths = client.get("/openapi.json").json()["paths"]

    bodies = [paths[path]["post"]["requestBody"] for path in ("/predict", "/explain")]
    assert bodies[0] == bodies[1]
    assert list(bodies[1]["content"]["application/json"]["schema"]["properties"]) == NAMES
    statuses = ["200", "400", "404", "409", "413", "415", "422", "503"]
    assert list(paths["/explain"]["post"]["responses"]) == statuses


def draw_curve(client, feature, instance, estimator):
    """The values of a curve, once its probabilities are those of the estimator."""
    curve = explained(client, instance, vary=feature)["curve"]
    assert curve["feature"] == feature
    for value, *said in zip(curve["values"], *curve["probabilities"].values(), strict=True):
        assert said == pytest.approx(estimator(instance | {feature: value}), abs=1e-12)
    return curve["values"]


def test_a_curve_goes_through_the_training_range_and_the_value_sent(client):
    values = draw_curve(client, "petal_length", SETOSA | {"petal_length": 1.45}, ask_iris)

    assert values == sorted(set(values))
    assert (values[0], values[-1]) == (0.1, 7.9)
    assert 1.45 in values
    assert 20 < len(values) <= 52
    assert all(round(it, 2) == it for it in values)
    beyond = draw_curve(client, "petal_length", SETOSA | {"petal_length": 50.0}, ask_iris)
    assert beyond[-2:] == [7.9, 50.0]


@pytest.mark.parametrize(
    ("feature", "changes", "values"),
    [
        ("island", {}, ["Biscoe", "Dream", "Torgersen", None]),
        ("island", {"island": "Atlantis"}, ["Biscoe", "Dream", "Torgersen", None, "Atlantis"]),
        ("tagged", {}, [False, True]),
    ],
)
def test_a_curve_of_another_type_has_all_its_values(mixed_client, feature, changes, values):
    instance = INSTANCE | changes

    assert draw_curve(mixed_client, feature, instance, partial(ask, fit_mixed())) == values


def test_an_unknown_feature_to_vary_is_named(client):
    response = client.post("/explain", json=SETOSA, params={"vary": "colour"})

    assert response.status_code == 422
    assert response.json()["title"] == "Unknown feature"
    assert response.json()["detail"].startswith("colour is not a feature of this model. It has sep")
