import joblib
import pytest
import requests
from processes import find_free_port, running_backend, wait_until
from sklearn.datasets import load_iris
from sklearn.linear_model import RidgeClassifier

import texts

FEATURES = ["Sepal length (cm)", "Sepal width (cm)", "Petal length (cm)", "Petal width (cm)"]


@pytest.fixture
def page(published, open_page):
    with running_backend(published.models_dir, find_free_port()) as url:
        wait_until(lambda: requests.get(f"{url}/health/ready", timeout=5).ok)
        yield open_page(url)


def shown(page):
    """The sentences on the page."""
    return [element.value for kind in (page.caption, page.warning) for element in kind]


def test_the_form_is_the_live_models(page):
    assert [field.label for field in page.number_input] == FEATURES
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
