import joblib
import pytest
import requests
from mixed import FEATURES, boolean, category, number, publish
from processes import find_free_port, running_backend, wait_until
from sklearn.datasets import load_iris
from sklearn.linear_model import RidgeClassifier

import texts
from client import BackendClient, BackendError

LABELS = ["Sepal length (cm)", "Sepal width (cm)", "Petal length (cm)", "Petal width (cm)"]


@pytest.fixture
def page(published, open_page):
    with running_backend(published.models_dir, find_free_port()) as url:
        wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
        yield open_page(url)


@pytest.fixture
def mixed_page(open_page, tmp_path):
    """The form of a model with every type of feature."""
    publish(tmp_path, FEATURES)
    with running_backend(tmp_path, find_free_port()) as url:
        wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
        yield open_page(url)


def shown(page):
    """The sentences on the page."""
    return [element.value for kind in (page.caption, page.warning) for element in kind]


def test_the_form_is_the_live_models(page):
    assert [field.label for field in page.number_input] == LABELS
    assert [field.value for field in page.number_input] == [5.8, 3.0, 4.35, 1.3]
    assert page.number_input[0].step == 0.1
    assert "Trained on 4.3 to 7.9" in shown(page)


def test_the_answer_shows_class_and_model(page, published):
    page.number_input[2].set_value(1.4)
    page.number_input[3].set_value(0.2)
    page.button[0].click().run()

    [model] = published.models_dir.glob("*.pkl")
    assert page.metric[0].label == "Species"
    assert page.metric[0].value == "setosa"
    assert f"Answered by model `{model.stem.removeprefix('model_')}`" in shown(page)


def test_the_answer_stays_when_the_page_runs_again(page):
    page.button[0].click().run()
    page.run()

    assert page.metric[0].value == "versicolor"


def test_a_value_outside_the_training_range_is_warned_of(page):
    page.number_input[0].set_value(9.5)
    page.button[0].click().run()

    assert "9.5 is outside the training range" in page.warning[0].value


def test_no_model_yet_is_said(open_page, tmp_path):
    with running_backend(tmp_path, find_free_port()) as url:
        page = open_page(url)

        assert not page.exception
        assert "No model is published yet" in page.warning[0].value


def test_the_form_appears_once_the_backend_is_there(open_page, published):
    port = find_free_port()
    page = open_page(f"http://127.0.0.1:{port}")
    assert [warning.value for warning in page.warning] == [texts.BACKEND_AWAY]

    with running_backend(published.models_dir, port) as url:
        wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
        page.run()

    assert not page.warning
    assert len(page.number_input) == 4


def test_a_lost_backend_is_said_and_what_was_typed_stays(open_page, published):
    port = find_free_port()
    with running_backend(published.models_dir, port) as url:
        wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
        page = open_page(url)

    page.number_input[0].set_value(6.6)
    page.button[0].click().run()

    assert not page.exception
    assert texts.BACKEND_AWAY in [warning.value for warning in page.warning]
    assert page.number_input[0].value == 6.6

    with running_backend(published.models_dir, port) as url:
        wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
        page.button[0].click().run()

    assert not page.warning
    assert page.metric[0].value == "versicolor"


def test_a_pickle_of_which_little_is_known_has_a_form_too(open_page, tmp_path):
    X, y = load_iris(return_X_y=True)
    joblib.dump(RidgeClassifier().fit(X, y), tmp_path / "model.pkl")
    with running_backend(tmp_path, find_free_port()) as url:
        wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
        page = open_page(url)
        page.button[0].click().run()

        assert not page.exception
        assert [field.value for field in page.number_input] == [0.0] * 4
        assert page.metric[0].value in ("setosa", "versicolor", "virginica")


def warned(page):
    return [warning.value for warning in page.warning]


def test_every_type_of_feature_has_its_widget(mixed_page):
    age, mass = mixed_page.number_input
    member, tagged = mixed_page.radio
    island, sex = mixed_page.selectbox

    assert [age.label, mass.label] == ["Age (a)", "Mass (a)"]
    assert [member.label, tagged.label] == ["Member", "Tagged"]
    assert [island.label, sex.label] == ["Island", "Sex"]
    assert tagged.options == ["Yes", "No"]
    assert sex.options == ["female", "male"]


def test_every_widget_starts_from_the_middle_of_the_table(mixed_page):
    assert [field.value for field in mixed_page.number_input] == [44, 44]
    assert [field.value for field in mixed_page.radio] == ["No", "No"]
    assert [field.value for field in mixed_page.selectbox] == ["Dream", "male"]

    mixed_page.button[0].click().run()

    assert not mixed_page.exception
    assert not mixed_page.warning
    assert mixed_page.metric[0].value in ("no", "yes")


def test_what_the_table_lacked_too_may_be_missing(mixed_page):
    assert mixed_page.radio[0].options == ["Yes", "No", "Missing"]
    assert mixed_page.selectbox[0].options == ["Biscoe", "Dream", "Torgersen", "Missing"]
    assert "Trained on 18 to 80; may be left empty" in shown(mixed_page)

    mixed_page.number_input[0].set_value(None)
    mixed_page.radio[0].set_value("Missing")
    mixed_page.selectbox[0].set_value("Missing")
    mixed_page.button[0].click().run()

    missing = "is missing; the model fills it in as it learned to."
    assert warned(mixed_page) == [f"{name} {missing}" for name in ("age", "member", "island")]
    assert mixed_page.number_input[0].value is None
    # The browser lets a field be emptied only where it has no default.
    assert not mixed_page.number_input[0].proto.HasField("default")


def test_what_is_chosen_is_what_is_asked(mixed_page, monkeypatch):
    asked = []
    monkeypatch.setattr(BackendClient, "predict", lambda _, instance: asked.append(instance))

    mixed_page.number_input[0].set_value(20)
    mixed_page.radio[0].set_value("Yes")
    mixed_page.selectbox[0].set_value("Biscoe")
    mixed_page.button[0].click().run()

    expected = {"age": 20, "mass": 44, "member": True, "tagged": False}
    assert asked == [expected | {"island": "Biscoe", "sex": "male"}]


def test_a_refusal_is_never_markdown(mixed_page, monkeypatch):
    def refuse(*_):
        raise BackendError("**mass** is missing.")

    monkeypatch.setattr(BackendClient, "predict", refuse)
    mixed_page.button[0].click().run()

    assert warned(mixed_page) == [r"\*\*mass\*\* is missing."]


def test_a_value_called_missing_is_a_value(open_page, tmp_path):
    publish(tmp_path, [number("age"), category("island", ["Dream", "Missing"], nullable=True)])
    with running_backend(tmp_path, find_free_port()) as url:
        wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
        page = open_page(url)
        page.button[0].click().run()

        assert page.selectbox[0].value == "Missing"
        assert not page.warning
        page.selectbox[0].set_value("(Missing)")
        page.button[0].click().run()

        assert "island is missing" in page.warning[0].value


def test_a_feature_that_changes_its_type_starts_anew(open_page, tmp_path):
    publish(tmp_path, [number("age"), category("x", ["a", "b"]), boolean("y")])
    with running_backend(tmp_path, find_free_port()) as url:
        ready = f"{url}/health/ready"
        wait_until(lambda: requests.get(ready, timeout=5).ok)
        page = open_page(url)
        page.selectbox[0].set_value("a").run()

        newer = "2026_11_21_T20_44_21"
        changed = [number("x", nullable=True), category("y", ["b", "c"])]
        publish(tmp_path, [number("age"), *changed], newer)
        wait_until(lambda: requests.get(ready, timeout=5).json()["model_version"] == newer)
        page.run()

    assert not page.exception
    assert [page.number_input[1].value, page.selectbox[0].value] == [44, "c"]


def test_hundreds_of_features_have_their_form(open_page, tmp_path):
    values = [f"value {index}" for index in range(100)]
    features = [number("first")]
    for index in range(166):
        features += [number(f"a{index}", nullable=True), boolean(f"b{index}", nullable=True)]
        features += [category(f"c{index}", values, nullable=True)]
    publish(tmp_path, features)
    with running_backend(tmp_path, find_free_port()) as url:
        wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
        page = open_page(url)
        page.button[0].click().run()

    assert not page.exception
    assert len(page.selectbox) == 166
    assert page.metric[0].value in ("no", "yes")
