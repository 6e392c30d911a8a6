import pytest
from conftest import (
    HISTOGRAMS,
    VERSION,
    fit,
    fit_iris,
    journal_in,
    publish_in,
    running_app,
    wait_until_live,
)
from journals import exposed, find, give_labels, predict, predict_rows
from processes import wait_until
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.tree import DecisionTreeClassifier

from journal.shadow import list_challengers
from journal.writer import _start_shadow
from schemas import Manifest
from serving.manifests import Manifests
from settings import Settings

OLD, OLDER, OLDEST = "2026_11_20_T00_00_02", "2026_11_20_T00_00_01", "2026_11_20_T00_00_00"


def loss(mean):
    return {"features": HISTOGRAMS, "metrics": {"log_loss": {"mean": mean}}}


@pytest.fixture(scope="module")
def shadowed(tmp_path_factory):
    """A live model, and of the older ones the second newest is the best."""
    folder = tmp_path_factory.mktemp("models")
    publish_in(folder, OLDEST, fit_iris(DummyClassifier()), **loss(1.0))
    publish_in(folder, OLDER, fit_iris(DecisionTreeClassifier(max_depth=2)), **loss(0.2))
    publish_in(folder, OLD, fit_iris(DummyClassifier(strategy="stratified")), **loss(0.9))
    publish_in(folder, **loss(0.1))
    with running_app(folder, **journal_in(folder), shadow="challenger") as client:
        wait_until_it_answers(client)
        yield client


def shadow(client):
    return client.get("/monitoring").json()["shadow"]


def wait_until_it_answers(client):
    """Asking meanwhile, as it is looked for when there is something to answer."""
    wait_until(lambda: predict(client) and (shadow(client) or {}).get("answered"))


def test_the_second_best_version_answers_what_the_live_one_did(shadowed):
    iris = load_iris()
    ids = predict_rows(shadowed, iris.data.tolist())
    rows = find(shadowed, *ids)
    assert {row["shadow_version"] for row in rows.values()} == {OLDER}
    assert rows[ids[0]]["shadow_class"] == "setosa"

    give_labels(shadowed, ids, iris.target_names[iris.target].tolist())
    wait_until(lambda: shadow(shadowed)["count"] == 150)

    found = shadow(shadowed)
    assert found["model_version"] == OLDER
    assert 0.9 < found["agreement"] < 1
    assert found["agreed"] == round(found["agreement"] * found["answered"])
    assert 0.9 < found["accuracy"] < 1
    wait_until(lambda: exposed(shadowed)["shadow_answers"] == found["answered"])
    assert exposed(shadowed)["shadow_agreement_ratio"] == found["agreement"]
    assert exposed(shadowed)["shadow_accuracy_ratio"] == found["accuracy"]


def test_a_version_asked_for_by_name_is_not_shadowed(shadowed):
    named = predict(shadowed, version=OLDEST)["prediction_id"]
    live = predict(shadowed)["prediction_id"]

    rows = find(shadowed, named, live)
    assert rows[named]["shadow_version"] is None
    assert rows[live]["shadow_version"] == OLDER


def test_neither_a_copy_nor_a_version_of_other_classes_is_a_challenger(publish, tmp_path):
    live = Manifest.model_validate_json(publish().with_suffix(".json").read_text())
    publish(OLD, **loss(0.1))  # the live model itself, once more
    two = {"name": "species", "classes": ["a", "b"]}
    classifier = DummyClassifier().fit(load_iris().data, ["a", "b"] * 75)
    publish(OLDER, classifier, **loss(0.1), target=two)
    publish(OLDEST, fit_iris(DummyClassifier()))
    manifests = Manifests(Settings(models_dir=tmp_path))

    found = list_challengers(live, manifests.find(), manifests)

    assert [file.version for file in found] == [OLDEST]


def test_a_refused_version_leaves_the_place_to_the_next(publish, start_journal):
    publish(OLD, fit_iris(DummyClassifier()), **loss(0.5))
    broken = publish(OLDER, fit_iris(DecisionTreeClassifier()), **loss(0.2))
    broken.write_bytes(b"broken")
    client = start_journal(shadow="challenger")

    wait_until_it_answers(client)

    assert shadow(client)["model_version"] == OLD


def test_it_is_off_by_default():
    assert Settings().shadow == "off"
    assert _start_shadow(Settings()) is None


def test_a_new_live_model_gets_a_new_shadow(publish, start_journal):
    client = start_journal(shadow="challenger")
    newer = "2026_11_21_T20_44_21"
    publish(newer, fit(C=0.01), **loss(0.3))
    wait_until_live(client, newer)

    wait_until_it_answers(client)

    assert shadow(client)["model_version"] == VERSION
