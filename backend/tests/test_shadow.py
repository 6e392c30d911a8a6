import pytest
from conftest import HISTOGRAMS, VERSION, fit, wait_for_version
from journals import exposed, predict, predict_rows, read, wait_until_written
from processes import wait_until
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.tree import DecisionTreeClassifier

OLD, OLDER, OLDEST = "2026_11_20_T00_00_02", "2026_11_20_T00_00_01", "2026_11_20_T00_00_00"


def loss(mean):
    return {"features": HISTOGRAMS, "metrics": {"log_loss": {"mean": mean}}}


def fit_other(estimator):
    iris = load_iris()
    return estimator.fit(iris.data, iris.target_names[iris.target])


@pytest.fixture
def shadowed(publish, start_journal):
    """A live model, and of the older ones the second newest is the best."""
    publish(OLDEST, fit_other(DummyClassifier()), **loss(1.0))
    publish(OLDER, fit_other(DecisionTreeClassifier(max_depth=2, random_state=0)), **loss(0.2))
    publish(OLD, fit_other(DummyClassifier(strategy="stratified")), **loss(0.9))
    return start_journal(shadow="challenger")


def shadow(client):
    return client.get("/monitoring").json()["shadow"]


def wait_until_it_answers(client):
    """Asking meanwhile, as it is looked for when there is something to answer."""

    def has_answered():
        predict(client)
        return (shadow(client) or {}).get("answered")

    wait_until(has_answered)


def test_the_second_best_version_answers_what_the_live_one_did(shadowed, tmp_path):
    wait_until_it_answers(shadowed)
    before = shadow(shadowed)["answered"]

    ids = predict_rows(shadowed, load_iris().data.tolist())

    wait_until(lambda: shadow(shadowed)["answered"] >= before + 150)
    found = shadow(shadowed)
    assert found["model_version"] == OLDER
    assert 0.9 < found["agreement"] < 1
    assert found["agreed"] == round(found["agreement"] * found["answered"])
    rows = read(f"sqlite:///{tmp_path}/journal.db", "SELECT * FROM predictions")
    of = {row["id"]: row for row in rows}
    assert {of[it]["shadow_version"] for it in ids} == {OLDER}
    assert of[ids[0]]["shadow_class"] == "setosa"
    wait_until(lambda: exposed(shadowed)["shadow_answers"] == found["answered"])
    assert exposed(shadowed)["shadow_agreement_ratio"] == found["agreement"]


def test_with_labels_its_accuracy_stands_beside_the_live_ones(shadowed):
    wait_until_it_answers(shadowed)
    iris = load_iris()
    ids = predict_rows(shadowed, iris.data.tolist())
    names = iris.target_names[iris.target].tolist()

    shadowed.post(
        "/feedback",
        json=[{"prediction_id": it, "label": name} for it, name in zip(ids, names, strict=True)],
    )

    wait_until(lambda: shadow(shadowed)["count"] == 150)
    assert 0.9 < shadow(shadowed)["accuracy"] < 1
    assert exposed(shadowed)["shadow_accuracy_ratio"] == shadow(shadowed)["accuracy"]


def test_a_version_asked_for_by_name_is_not_shadowed(shadowed, tmp_path):
    wait_until_it_answers(shadowed)

    named = predict(shadowed, version=OLDEST)["prediction_id"]
    live = predict(shadowed)["prediction_id"]

    def by() -> dict:
        rows = read(f"sqlite:///{tmp_path}/journal.db", "SELECT * FROM predictions")
        return {row["id"]: row["shadow_version"] for row in rows}

    wait_until(lambda: live in by())
    assert by()[live] == OLDER
    assert by()[named] is None


def test_without_another_fit_version_nobody_answers(publish, start_journal):
    publish(OLD, **loss(0.1))  # the live model itself, once more
    two = {"name": "species", "classes": ["a", "b"]}
    classifier = DummyClassifier().fit(load_iris().data, ["a", "b"] * 75)
    publish(OLDER, classifier, **loss(0.1), target=two)
    client = start_journal(shadow="challenger")

    for _ in range(3):
        predict(client)

    wait_until_written(client, 3)
    assert shadow(client) is None


def test_a_refused_version_leaves_the_place_to_the_next(publish, start_journal):
    publish(OLD, fit_other(DummyClassifier()), **loss(0.5))
    broken = publish(OLDER, fit_other(DecisionTreeClassifier()), **loss(0.2))
    broken.write_bytes(b"broken")
    client = start_journal(shadow="challenger")

    wait_until_it_answers(client)

    assert shadow(client)["model_version"] == OLD


def test_it_is_off_by_default(publish, start_journal):
    publish(OLD, fit_other(DummyClassifier()), **loss(0.5))
    client = start_journal()
    predict(client)
    wait_until_written(client, 1)

    assert shadow(client) is None
    assert not [name for name in exposed(client) if name.startswith("shadow")]


def test_a_new_live_model_gets_a_new_shadow(shadowed, publish):
    wait_until_it_answers(shadowed)

    newer = "2026_11_21_T20_44_21"
    publish(newer, fit(C=0.01), **loss(0.3))
    wait_for_version(shadowed, newer)

    wait_until_it_answers(shadowed)
    wait_until(lambda: predict(shadowed) and shadow(shadowed)["model_version"] == VERSION)
