import json
from types import SimpleNamespace

import joblib
import pytest
import requests
from drawn import find_chart, find_charts
from mixed import CLASSES, boolean, category, number, publish
from processes import find_free_port, running_backend, wait_until
from servers import running_proxy, running_relay
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, RidgeClassifier

import fields
import texts

LABELS = ["Sepal length (cm)", "Sepal width (cm)", "Petal length (cm)", "Petal width (cm)"]
SETOSA = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}


def press(page, label):
    return next(it for it in page.button if it.label == label).click().run()


def predict(page):
    return press(page, "Predict")


def fill(page, values):
    for field, value in zip(page.number_input, values, strict=False):
        field.set_value(value)


def warned(page):
    return [warning.value for warning in page.warning]


def captions(page):
    return [caption.value for caption in page.caption]


def serve(models_dir, port=None):
    return running_backend(models_dir, port or find_free_port())


def wait_until_ready(url, version=None):
    def is_ready():
        answer = requests.get(f"{url}/health/ready", timeout=5).json()
        return answer.get("model_version") == version if version else "model_version" in answer

    wait_until(is_ready)


def test_the_form_is_the_live_models(iris_url, open_page):
    page = open_page(iris_url)

    assert [field.label for field in page.number_input] == LABELS
    assert [field.value for field in page.number_input] == [5.8, 3.0, 4.35, 1.3]
    assert page.number_input[0].step == 0.1
    assert "Trained on 4.3 to 7.9" in captions(page)
    assert page.markdown[0].value.startswith("Which species is it?")


def test_before_anything_is_asked_the_page_shows_what_the_model_learned_from(iris_url, open_page):
    page = open_page(iris_url)

    assert len(find_charts(page)) == 4
    assert find_chart(page, "Training rows by Sepal length")
    assert not page.metric


def test_the_answer_shows_class_probabilities_and_model(iris_url, open_page, published):
    page = open_page(iris_url)
    fill(page, SETOSA.values())
    predict(page)

    [model] = published.models_dir.glob("*.pkl")
    assert page.metric[0].label == "Species"
    assert page.metric[0].value == "setosa"
    said = f"Answered by model {model.stem.removeprefix('model_')}"
    assert texts.plain(said) in captions(page)
    assert find_chart(page, "Probability of each class")


def test_an_example_fills_the_form_and_asks_nothing(iris_url, open_page):
    page = open_page(iris_url)
    press(page, "setosa")

    assert page.number_input[2].value < 2
    assert not page.metric
    assert predict(page).metric[0].value == "setosa"


def test_there_is_an_example_of_each_class(iris_url, open_page):
    page = open_page(iris_url)

    labels = [button.label for button in page.button]
    assert labels[:3] == ["setosa", "versicolor", "virginica"]


def test_the_answer_stays_when_something_else_changes(iris_url, open_page):
    page = predict(open_page(iris_url))
    page.selectbox(key="moved").set_value("petal_width").run()

    assert page.metric[0].value == "versicolor"
    assert page.switch_page("views/models.py").run().title[0].value == "Models"
    assert page.switch_page("views/predict.py").run().metric[0].value == "versicolor"


def test_what_was_entered_stays_on_the_way_to_another_page(iris_url, open_page):
    page = open_page(iris_url)
    fill(page, SETOSA.values())
    predict(page)
    page.switch_page("views/models.py").run()
    page.switch_page("views/predict.py").run()

    assert [field.value for field in page.number_input] == list(SETOSA.values())


def test_a_value_outside_the_training_range_is_warned_of_beside_its_field(iris_url, open_page):
    page = open_page(iris_url)
    page.number_input[0].set_value(9.5)
    predict(page)

    [warning] = [said for said in captions(page) if "Outside" in said]
    assert "Outside the training range 4.3 to 7.9" in warning
    assert captions(page).index(warning) < captions(page).index("Trained on 2.0 to 4.4")


def test_a_field_left_empty_is_said_and_nothing_is_asked(iris_url, open_page):
    page = open_page(iris_url)
    page.number_input[1].set_value(None)
    predict(page)

    assert [texts.ENTER_VALUE() in said for said in captions(page)].count(True) == 1
    assert not page.metric
    assert page.number_input[1].value is None
    page.number_input[1].set_value(3.0)
    assert predict(page).metric[0].value == "versicolor"
    assert not [said for said in captions(page) if texts.ENTER_VALUE() in said]


def test_the_address_carries_the_inputs(iris_url, open_page):
    page = open_page(iris_url)
    fill(page, SETOSA.values())
    predict(page)

    assert {name: float(text) for name, text in page.query_params.items()} == SETOSA


def test_an_address_with_inputs_is_answered_at_once(iris_url, open_page):
    page = open_page(iris_url, **{name: str(value) for name, value in SETOSA.items()})

    assert [field.value for field in page.number_input] == list(SETOSA.values())
    assert page.metric[0].value == "setosa"


def test_an_address_with_some_inputs_fills_those_and_asks_nothing(iris_url, open_page):
    page = open_page(iris_url, petal_length="1.4", petal_width="wide", colour="blue")

    assert [field.value for field in page.number_input] == [5.8, 3.0, 1.4, 1.3]
    assert not page.metric


def test_why_shows_a_bar_for_each_feature_the_longest_first(iris_url, open_page):
    page = open_page(iris_url)
    fill(page, SETOSA.values())
    predict(page)

    bars = find_chart(page, "Why").rows
    assert len(bars) == 4
    assert bars[0]["feature"].startswith("Petal")
    assert bars[0]["change"] > 0.1
    assert [abs(bar["change"]) for bar in bars] == sorted(
        [abs(bar["change"]) for bar in bars], reverse=True
    )


def test_where_it_lies_shows_a_histogram_and_a_line_for_each_feature(iris_url, open_page):
    page = open_page(iris_url)
    fill(page, SETOSA.values())
    predict(page)

    for label, value in zip(LABELS, SETOSA.values(), strict=True):
        chart = find_chart(page, f"Training rows by {label}")
        assert sum(row["rows"] for row in chart.rows) == 150
        assert chart.spec["layer"][1]["data"] == {"values": [{"x": value}]}


def test_what_if_moves_one_feature_and_the_probabilities_follow(iris_url, open_page):
    page = open_page(iris_url)
    fill(page, SETOSA.values())
    predict(page)
    page.selectbox(key="moved").set_value("petal_length").run()
    slider = page.select_slider[0]
    assert slider.value == slider.options.index("1.4")

    slider.set_value(len(slider.options) - 1).run()

    said = [it.value for it in page.markdown if it.value.startswith("With ")]
    assert "With Petal length (cm) = 6.9 it would be" in said[0].replace("\\", "")
    asked = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 6.9, "petal_width": 0.2}
    answer = requests.post(f"{iris_url}/predict", json=asked, timeout=5).json()
    assert f"**{answer['prediction_class']}**" in said[0]


def test_a_session_remembers_what_it_asked(iris_url, open_page):
    page = open_page(iris_url)
    fill(page, SETOSA.values())
    predict(page)
    page.number_input[2].set_value(5.5)
    page.number_input[3].set_value(2.0)
    predict(page)

    table = page.dataframe[0].value
    assert list(table["prediction_class"]) == ["virginica", "setosa"]
    assert list(table["petal_length"]) == [5.5, 1.4]
    assert page.get("download_button")


def test_features_called_like_the_historys_own_columns_stay_apart(open_page, tmp_path):
    publish(tmp_path, [number("probability"), number("time")])
    with serve(tmp_path) as url:
        wait_until_ready(url)
        page = predict(open_page(url))

    table = page.dataframe[0].value
    assert list(table["probability"]) == [44]
    assert 0 <= table["probability_"][0] <= 1


def test_no_model_yet_is_said(open_page, tmp_path):
    with serve(tmp_path) as url:
        page = open_page(url)

        assert not page.exception
        assert "No model is published yet" in page.warning[0].value


def test_the_form_appears_once_the_backend_is_there(open_page, published):
    port = find_free_port()
    page = open_page(f"http://127.0.0.1:{port}")
    assert warned(page) == [texts.BACKEND_AWAY()]

    with serve(published.models_dir, port) as url:
        wait_until_ready(url)
        page.run()

    assert not page.warning
    assert len(page.number_input) == 4


def test_a_lost_backend_is_said_and_its_answer_comes_by_itself(open_page, published):
    port = find_free_port()
    with serve(published.models_dir, port) as url:
        wait_until_ready(url)
        page = open_page(url)

    page.number_input[0].set_value(6.6)
    predict(page)

    assert not page.exception
    assert warned(page) == [texts.BACKEND_AWAY()]
    assert page.number_input[0].value == 6.6

    with serve(published.models_dir, port) as url:
        wait_until_ready(url)
        page.run()  # as the page does itself, every two seconds

    assert not page.warning
    assert page.metric[0].value == "versicolor"
    assert page.number_input[0].value == 6.6


@pytest.mark.parametrize("path", ["/explain", "/predict"])
def test_a_route_that_fails_is_one_sentence(iris_url, open_page, path):
    with running_proxy(iris_url, path, 502) as (url, _):
        page = predict(open_page(url))

    assert not page.exception
    assert len(warned(page)) <= 1


@pytest.fixture
def feedback_url(iris_url):
    """A backend that takes feedback, and what it was sent."""
    offered = requests.get(f"{iris_url}/openapi.json", timeout=5).json()
    offered["paths"]["/feedback"] = {"post": {}}
    answers = {
        "/openapi.json": (200, json.dumps(offered).encode()),
        "/feedback": (200, b'{"recorded": 1}'),
    }
    with running_relay(iris_url, answers.get) as (url, asked):
        yield SimpleNamespace(url=url, asked=asked, answers=answers)


def send_feedback(page):
    page.selectbox(key="right class").set_value("virginica")
    return press(page, "Send")


def test_a_backend_without_feedback_offers_none(feedback_url, open_page):
    feedback_url.answers["/openapi.json"] = (200, b'{"paths": {"/predict": {}}}')
    page = predict(open_page(feedback_url.url))

    assert [button.label for button in page.button if button.label == "Send"] == []


def test_a_wrong_answer_can_be_said_to_be(feedback_url, open_page):
    page = send_feedback(predict(open_page(feedback_url.url)))

    assert page.success[0].value == texts.THANKS(label="virginica")
    assert feedback_url.asked.count("POST /feedback") == 1
    assert not [button.label for button in page.button if button.label == "Send"]
    assert not predict(page).success


@pytest.mark.parametrize("status", [404, 422, 503])
def test_feedback_that_is_refused_is_one_sentence_and_can_be_sent_again(
    feedback_url, open_page, status
):
    taken = feedback_url.answers["/feedback"]
    feedback_url.answers["/feedback"] = (status, b'{"detail": "The journal is away."}')
    page = send_feedback(predict(open_page(feedback_url.url)))

    assert not page.exception
    [said] = warned(page)
    assert said.replace("\\", "") == "Nothing was noted. The backend says: The journal is away."

    feedback_url.answers["/feedback"] = taken
    assert press(page, "Send").success


def test_a_pickle_of_which_little_is_known_has_a_form_too(open_page, tmp_path):
    X, y = load_iris(return_X_y=True)
    joblib.dump(RidgeClassifier().fit(X, y), tmp_path / "model.pkl")
    with serve(tmp_path) as url:
        wait_until_ready(url)
        page = predict(open_page(url))

    assert not page.exception
    assert [field.value for field in page.number_input] == [0.0] * 4
    assert page.metric[0].value in ("setosa", "versicolor", "virginica")
    assert texts.NO_PROBABILITIES() in captions(page)
    assert texts.NO_HISTOGRAMS() in captions(page)


def test_a_pickle_with_probabilities_and_no_medians_says_why_there_is_no_why(open_page, tmp_path):
    X, y = load_iris(return_X_y=True)
    joblib.dump(LogisticRegression(max_iter=500).fit(X, y), tmp_path / "model.pkl")
    with serve(tmp_path) as url:
        wait_until_ready(url)
        page = predict(open_page(url))

    assert not page.exception
    assert [said for said in captions(page) if "This model cannot be explained" in said]


def test_every_type_of_feature_has_its_widget(mixed_url, open_page):
    page = open_page(mixed_url)

    age, mass = page.number_input
    member, tagged = page.radio
    island, sex = page.selectbox
    assert [age.label, mass.label] == ["Age (a)", "Mass (a)"]
    assert [member.label, tagged.label] == ["Member", "Tagged"]
    assert [island.label, sex.label] == ["Island", "Sex"]
    assert tagged.options == ["Yes", "No"]
    assert sex.options == ["female", "male"]


def test_every_widget_starts_from_the_middle_of_the_table(mixed_url, open_page):
    page = open_page(mixed_url)
    assert [field.value for field in page.number_input] == [44, 44]
    assert [field.value for field in page.radio] == [False, False]
    assert [field.value for field in page.selectbox] == ["Dream", "male"]

    predict(page)

    assert not page.exception
    assert not page.warning
    assert page.metric[0].value in CLASSES


def test_what_the_table_lacked_too_may_be_missing(mixed_url, open_page):
    page = open_page(mixed_url)
    assert page.radio[0].options == ["Yes", "No", "Missing"]
    assert page.selectbox[0].options == ["Biscoe", "Dream", "Torgersen", "Missing"]
    assert "Trained on 18 to 80; may be left empty" in captions(page)

    page.number_input[0].set_value(None)
    page.radio[0].set_value(fields.NOTHING)
    page.selectbox[0].select_index(3)
    predict(page)

    said = [caption for caption in captions(page) if texts.FILLED_IN() in caption]
    assert len(said) == 3
    assert page.metric[0].value in CLASSES
    [row] = page.dataframe[0].value.to_dict("records")
    assert row["island"] is None


def test_what_is_chosen_is_what_is_asked(mixed_url, open_page):
    page = open_page(mixed_url)
    page.number_input[0].set_value(20)
    page.radio[0].set_value(True)
    page.selectbox[0].set_value("Biscoe")
    predict(page)

    asked = {"age": "20", "mass": "44", "member": "true", "tagged": "false"}
    assert page.query_params == asked | {"island": "Biscoe", "sex": "male"}


def test_what_if_of_a_category_goes_through_its_values(mixed_url, open_page):
    page = predict(open_page(mixed_url))
    page.selectbox(key="moved").set_value("island").run()

    assert page.select_slider[0].options == ["Biscoe", "Dream", "Torgersen", "Missing"]
    assert find_chart(page, "Probability of each class as Island changes")
    assert not page.exception


def test_what_if_of_a_category_with_one_value_moves_nothing(open_page, tmp_path):
    publish(tmp_path, [number("age"), category("only", ["x"]) | {"mode": "x"}])
    with serve(tmp_path) as url:
        wait_until_ready(url)
        page = predict(open_page(url))
        page.selectbox(key="moved").set_value("only").run()

    assert not page.exception
    assert not page.select_slider
    assert [it.value for it in page.markdown if "With Only = x it would be" in it.value]


def test_a_value_called_missing_is_a_value(open_page, tmp_path):
    publish(tmp_path, [number("age"), category("island", ["Dream", "Missing"], nullable=True)])
    with serve(tmp_path) as url:
        wait_until_ready(url)
        page = predict(open_page(url))

        assert page.selectbox[0].value == "Missing"
        assert not [said for said in captions(page) if texts.FILLED_IN() in said]
        assert page.selectbox[0].options[-1] == "(Missing)"
        page.selectbox[0].select_index(2)
        predict(page)

        assert [said for said in captions(page) if texts.FILLED_IN() in said]


def test_a_new_model_is_said_and_keeps_what_was_entered(open_page, tmp_path):
    publish(tmp_path, [number("age"), number("mass")])
    with serve(tmp_path) as url:
        wait_until_ready(url)
        page = open_page(url)
        page.number_input[0].set_value(20)
        predict(page)

        publish(tmp_path, [number("age"), number("mass")], newer := "2026_11_21_T20_44_21")
        wait_until_ready(url, newer)
        page.run()

        assert newer in page.toast[0].value.replace("\\", "")
        assert page.number_input[0].value == 20
        assert texts.MODEL_CHANGED() in [it.value for it in page.info]
        assert not predict(page).toast
        assert not page.info


def test_a_feature_that_changes_its_type_starts_anew(open_page, tmp_path):
    publish(tmp_path, [number("age"), category("x", ["a", "b"]), boolean("y")])
    with serve(tmp_path) as url:
        wait_until_ready(url)
        page = open_page(url)
        page.selectbox[0].set_value("a")
        predict(page)

        changed = [number("x", nullable=True), category("y", ["b", "c"])]
        publish(tmp_path, [number("age"), *changed], newer := "2026_11_21_T20_44_21")
        wait_until_ready(url, newer)
        page.run()

    assert not page.exception
    assert [page.number_input[1].value, page.selectbox[0].value] == [44, "c"]


def test_a_value_that_the_new_model_does_not_know_starts_anew(open_page, tmp_path):
    publish(tmp_path, [number("age"), category("x", ["a", "b"], nullable=True)])
    with serve(tmp_path) as url:
        wait_until_ready(url)
        page = open_page(url)
        page.selectbox[0].set_value("a")
        predict(page)

        changed = [number("age"), category("x", ["b", "c"])]
        publish(tmp_path, changed, newer := "2026_11_21_T20_44_21")
        wait_until_ready(url, newer)
        page.run()

    assert not page.exception
    assert page.selectbox[0].value == "c"


STRANGE = ["<script>alert(1)</script>", "**bold**", "$x$", ":red[x]", "a" * 200]


def test_names_from_tables_are_never_markdown(open_page, tmp_path):
    features = [number("**age**"), category("<b>x</b>", STRANGE), boolean("$y$")]
    publish(tmp_path, features, classes=STRANGE)
    with serve(tmp_path) as url:
        wait_until_ready(url)
        page = predict(open_page(url))

    assert not page.exception
    assert page.number_input[0].label == r"\*\*age\*\* (a)"
    assert page.radio[0].label == r"\$y\$"
    assert page.metric[0].value in [texts.plain(name) for name in STRANGE]
    for element in [*page.markdown, *page.caption]:
        assert not [name for name in STRANGE[:4] if name in element.value]
    assert "<script>" not in "".join(it.proto.body for it in page.get("html")[1:]).replace(
        "<script>document.documentElement", ""
    )


def test_hundreds_of_features_and_many_classes_have_their_form(open_page, tmp_path):
    values = [f"value {index}" for index in range(100)]
    features = [number("first")]
    for index in range(30):
        features += [number(f"a{index}", nullable=True), boolean(f"b{index}", nullable=True)]
        features += [category(f"c{index}", values, nullable=True)]
    publish(tmp_path, features, classes=[f"class {index}" for index in range(50)])
    with serve(tmp_path) as url:
        wait_until_ready(url)
        page = predict(open_page(url))

    assert not page.exception
    assert page.metric[0].value.startswith("class")
    bars = find_chart(page, "Probability of each class").rows
    assert len(bars) == 12
    assert bars[-1]["class"] == "39 others"
    assert sum(bar["probability"] for bar in bars) == pytest.approx(1)


def test_a_prediction_takes_four_requests(iris_url, open_page):
    with running_relay(iris_url) as (url, asked):
        page = predict(open_page(url))
        asked.clear()

        predict(page)

    assert [it.partition("?")[0] for it in asked] == [
        "POST /predict",
        "GET /health/ready",
        "POST /explain",
        "POST /explain",
    ]


def test_french_is_spoken_where_it_is_chosen(iris_url, open_page):
    page = open_page(iris_url, language="fr")

    assert page.title[0].value == "Prédire"
    press(page, "Prédire")
    assert [it.value for it in page.header][:2] == ["Pourquoi", "Et si"]
    assert "Entraîné de 4,3 à 7,9" in captions(page)
