import joblib
import pytest
import requests
from conftest import running_ready, wait_until_live
from drawn import find_chart, find_charts
from mixed import CLASSES, VERSION, boolean, category, number, publish
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, RidgeClassifier

import fields
import texts

LABELS = ["Sepal length (cm)", "Sepal width (cm)", "Petal length (cm)", "Petal width (cm)"]
NEWER, NEWEST = "2026_11_21_T20_44_21", "2026_11_21_T20_44_22"
STRANGE = ["<script>alert(1)</script>", "**bold**", "$x$", ":red[x]", "a" * 200]
FEATURES = [
    *map(number, ("probability", "time", "**age**")),
    *(category("<b>x</b>", STRANGE), category("only", ["x"]), boolean("$y$")),
    category("island", ["Dream", "Missing"], nullable=True),
]
SETOSA = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}


def press(page, label):
    return next(button for button in page.button if button.label == label).click().run()


def predict(page, values=()):
    for field, value in zip(page.number_input, values, strict=False):
        field.set_value(value)
    return press(page, "Predict")


def warned(page):
    return [warning.value.replace("\\", "") for warning in page.warning]


def captions(page):
    return [caption.value for caption in page.caption]


@pytest.fixture
def page(iris_url, open_page):
    return open_page(iris_url)


def test_before_anything_is_asked_the_page_shows_the_models_form_and_training_rows(page):
    assert [field.label for field in page.number_input] == LABELS
    assert [field.value for field in page.number_input] == [5.8, 3.0, 4.35, 1.3]
    assert page.number_input[0].step == 0.1
    assert "Trained on 4.3 to 7.9" in captions(page)
    assert page.markdown[0].value.startswith("Which species is it?")
    assert len(find_charts(page)) == 4
    assert find_chart(page, "Training rows by Sepal length")
    assert not page.metric


def test_the_answer_shows_its_class_and_model_why_and_where_it_lies(page):
    predict(page, SETOSA.values())

    assert page.metric[0].label == "Species"
    assert page.metric[0].value == "setosa"
    assert texts.plain(f"Answered by model {VERSION}") in captions(page)
    assert {name: float(text) for name, text in page.query_params.items()} == SETOSA
    assert find_chart(page, "Probability of each class")
    bars = find_chart(page, "Why").rows
    assert len(bars) == 4
    assert bars[0]["feature"].startswith("Petal")
    assert bars[0]["change"] > 0.1
    lengths = [abs(bar["change"]) for bar in bars]
    assert lengths == sorted(lengths, reverse=True)
    for label, value in zip(LABELS, SETOSA.values(), strict=True):
        chart = find_chart(page, f"Training rows by {label}")
        assert sum(row["rows"] for row in chart.rows) == 150
        assert chart.spec["layer"][1]["data"] == {"values": [{"x": value}]}


def test_an_example_of_each_class_fills_the_form_and_asks_nothing(page):
    assert [button.label for button in page.button][:3] == ["setosa", "versicolor", "virginica"]
    press(page, "setosa")

    assert page.number_input[2].value < 2
    assert not page.metric
    assert predict(page).metric[0].value == "setosa"


def test_answer_and_values_stay_when_something_else_changes(page):
    predict(page, SETOSA.values())
    page.selectbox(key="moved").set_value("petal_width").run()

    assert page.metric[0].value == "setosa"
    assert page.switch_page("views/models.py").run().title[0].value == "Models"
    page.switch_page("views/predict.py").run()
    assert page.metric[0].value == "setosa"
    assert [field.value for field in page.number_input] == list(SETOSA.values())


def test_a_value_outside_the_training_range_is_warned_of_beside_its_field(page):
    page.number_input[0].set_value(9.5)
    predict(page)

    [warning] = [said for said in captions(page) if "Outside" in said]
    assert "Outside the training range 4.3 to 7.9" in warning
    assert captions(page).index(warning) < captions(page).index("Trained on 2.0 to 4.4")


def test_a_field_left_empty_is_said_and_nothing_is_asked(page):
    page.number_input[1].set_value(None)
    predict(page)

    assert [texts.ENTER_VALUE() in said for said in captions(page)].count(True) == 1
    assert not page.metric
    assert page.number_input[1].value is None
    page.number_input[1].set_value(3.0)
    assert predict(page).metric[0].value == "versicolor"
    assert not [said for said in captions(page) if texts.ENTER_VALUE() in said]


@pytest.mark.parametrize(
    ("query", "values", "answers"),
    [
        ({name: str(value) for name, value in SETOSA.items()}, [*SETOSA.values()], ["setosa"]),
        ({"petal_length": "1.4", "petal_width": "wide", "colour": "blue"}, [5.8, 3, 1.4, 1.3], []),
    ],
)
def test_an_address_fills_the_form_and_with_all_inputs_is_answered(
    iris_url, open_page, query, values, answers
):
    page = open_page(iris_url, **query)

    assert [field.value for field in page.number_input] == values
    assert [metric.value for metric in page.metric] == answers


def test_what_if_moves_one_feature_and_the_probabilities_follow(page, iris_url):
    predict(page, SETOSA.values())
    page.selectbox(key="moved").set_value("petal_length").run()
    slider = page.select_slider[0]
    assert slider.value == slider.options.index("1.4")

    slider.set_value(len(slider.options) - 1).run()

    said = [text.value for text in page.markdown if text.value.startswith("With ")]
    assert "With Petal length (cm) = 6.9 it would be" in said[0].replace("\\", "")
    asked = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 6.9, "petal_width": 0.2}
    answer = requests.post(f"{iris_url}/predict", json=asked, timeout=5).json()
    assert f"**{answer['prediction_class']}**" in said[0]


def test_a_session_remembers_what_it_asked(page):
    predict(page, SETOSA.values())
    predict(page, [5.1, 3.5, 5.5, 2.0])

    table = page.dataframe[0].value
    assert list(table["prediction_class"]) == ["virginica", "setosa"]
    assert list(table["petal_length"]) == [5.5, 1.4]
    assert page.get("download_button")


def test_a_lost_backend_is_said_and_its_answer_comes_by_itself(relay, open_page):
    page = open_page(relay.url)
    relay.answers["all"] = 503, b'{"detail": "Restarting."}'

    page.number_input[0].set_value(6.6)
    predict(page)

    assert not page.exception
    assert warned(page) == [texts.BACKEND_NOT_READY(detail="Restarting.")]
    assert page.number_input[0].value == 6.6

    relay.answers.clear()
    page.run()  # as the page does itself, every two seconds

    assert not page.warning
    assert page.metric[0].value == "versicolor"
    assert page.number_input[0].value == 6.6


@pytest.mark.parametrize("path", ["/explain", "/predict"])
def test_a_route_that_fails_is_one_sentence(relay, open_page, path):
    relay.answers[path] = 502, b""
    page = predict(open_page(relay.url))

    assert not page.exception
    assert len(warned(page)) <= 1


@pytest.fixture
def feedback(relay):
    """Have the relay take feedback, which its backend does not."""
    offered = requests.get(f"{relay.url}/openapi.json", timeout=5).json()
    offered["paths"]["/feedback"] = {"post": {}}
    relay.answers |= {"/openapi.json": offered, "/feedback": {"recorded": 1}}


def send_feedback(page):
    page.selectbox(key="right class").set_value("virginica")
    return press(page, "Send")


def test_a_backend_without_feedback_offers_none(page):
    predict(page)

    assert "Send" not in [button.label for button in page.button]


@pytest.mark.usefixtures("feedback")
def test_a_wrong_answer_can_be_said_to_be(relay, open_page):
    page = send_feedback(predict(open_page(relay.url)))

    assert page.success[0].value == texts.THANKS(label="virginica")
    assert relay.asked.count("POST /feedback") == 1
    assert not [button.label for button in page.button if button.label == "Send"]
    assert not predict(page).success
    assert relay.asked.count("GET /openapi.json") == 2  # once here, and once for the page


@pytest.mark.usefixtures("feedback")
@pytest.mark.parametrize("status", [404, 422, 503])
def test_feedback_that_is_refused_is_one_sentence_and_can_be_sent_again(relay, open_page, status):
    taken = relay.answers["/feedback"]
    relay.answers["/feedback"] = (status, b'{"detail": "The journal is away."}')
    page = send_feedback(predict(open_page(relay.url)))

    assert not page.exception
    assert warned(page) == ["Nothing was noted. The backend says: The journal is away."]

    relay.answers["/feedback"] = taken
    assert press(page, "Send").success


def test_a_pickle_of_which_little_is_known_has_a_form_too(open_page, tmp_path):
    X, y = load_iris(return_X_y=True)
    joblib.dump(RidgeClassifier().fit(X, y), tmp_path / "model.pkl")
    with running_ready(tmp_path) as url:
        page = predict(open_page(url))
        assert not page.exception
        assert [field.value for field in page.number_input] == [0.0] * 4
        assert page.metric[0].value in ("setosa", "versicolor", "virginica")
        assert texts.NO_PROBABILITIES() in captions(page)
        assert texts.NO_HISTOGRAMS() in captions(page)

        sure = LogisticRegression(max_iter=500).fit(X, y)
        joblib.dump(sure, tmp_path / f"model_{VERSION}.pkl")
        wait_until_live(url, VERSION)
        predict(page)
        assert not page.exception
        assert [said for said in captions(page) if "This model cannot be explained" in said]


def test_every_type_of_feature_has_its_widget_which_starts_from_the_middle(mixed_url, open_page):
    page = open_page(mixed_url)
    member, tagged = page.radio
    island, sex = page.selectbox
    assert [field.label for field in page.number_input] == ["Age (a)", "Mass (a)"]
    assert [member.label, tagged.label] == ["Member", "Tagged"]
    assert [island.label, sex.label] == ["Island", "Sex"]
    assert tagged.options == ["Yes", "No"]
    assert sex.options == ["female", "male"]
    assert [field.value for field in page.number_input] == [44, 44]
    assert [field.value for field in page.radio] == [False, False]
    assert [field.value for field in page.selectbox] == ["Dream", "male"]

    member.set_value(True)
    island.set_value("Biscoe")
    predict(page, [20])

    assert not page.exception
    assert not page.warning
    assert page.metric[0].value in CLASSES
    asked = {"age": "20", "mass": "44", "member": "true", "tagged": "false"}
    assert page.query_params == asked | {"island": "Biscoe", "sex": "male"}


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


def test_what_if_of_a_category_goes_through_its_values(mixed_url, open_page):
    page = predict(open_page(mixed_url))
    page.selectbox(key="moved").set_value("island").run()

    assert page.select_slider[0].options == ["Biscoe", "Dream", "Torgersen", "Missing"]
    assert find_chart(page, "Probability of each class as Island changes")
    assert not page.exception


@pytest.fixture(scope="module")
def strange_url(tmp_path_factory):
    """A backend whose live model has names that mean something to Markdown or to the page."""
    publish(folder := tmp_path_factory.mktemp("strange"), FEATURES, classes=STRANGE)
    with running_ready(folder) as url:
        yield url


def test_names_from_tables_are_never_markdown(open_page, strange_url):
    page = predict(open_page(strange_url))

    assert not page.exception
    assert page.number_input[2].label == r"\*\*age\*\* (a)"
    assert page.radio[0].label == r"\$y\$"
    assert page.metric[0].value in [texts.plain(name) for name in STRANGE]
    for element in [*page.markdown, *page.caption]:
        assert not [name for name in STRANGE[:4] if name in element.value]
    assert "<script>" not in "".join(block.proto.body for block in page.get("html")[1:]).replace(
        "<script>document.documentElement", ""
    )


def test_features_called_like_the_historys_own_columns_stay_apart(open_page, strange_url):
    table = predict(open_page(strange_url)).dataframe[0].value

    assert list(table["probability"]) == [44]
    assert 0 <= table["probability_"][0] <= 1


def test_what_if_of_a_category_with_one_value_moves_nothing(open_page, strange_url):
    page = predict(open_page(strange_url))
    page.selectbox(key="moved").set_value("only").run()

    assert not page.exception
    assert not page.select_slider
    assert [text.value for text in page.markdown if "With Only = x it would be" in text.value]


def test_a_value_called_missing_is_a_value(open_page, strange_url):
    page = predict(open_page(strange_url))
    island = next(box for box in page.selectbox if box.label == "Island")

    assert island.value == "Missing"
    assert not [said for said in captions(page) if texts.FILLED_IN() in said]
    assert island.options[-1] == "(Missing)"
    island.select_index(2)
    predict(page)
    assert [said for said in captions(page) if texts.FILLED_IN() in said]


def test_a_new_model_is_said_and_keeps_what_was_entered_where_it_fits(open_page, tmp_path):
    older = [number("age"), *(category(name, ["a", "b"]) for name in "xz"), boolean("y")]
    publish(tmp_path, older)
    with running_ready(tmp_path) as url:
        page, models = open_page(url), open_page(url, "models")
        for field in page.selectbox[:2]:
            field.set_value("a")
        predict(page, [20])

        publish(tmp_path, older, NEWER)
        wait_until_live(url, NEWER)
        for view in (page, models):
            assert NEWER in view.run().toast[0].value.replace("\\", "")
        assert list(models.dataframe[0].value["Version"]) == [NEWER, VERSION]
        assert page.number_input[0].value == 20
        assert texts.MODEL_CHANGED() in [info.value for info in page.info]
        assert not predict(page).toast
        assert not page.info

        changed = [number("x", nullable=True), *(category(name, ["b", "c"]) for name in "yz")]
        publish(tmp_path, [number("age"), *changed], NEWEST)
        wait_until_live(url, NEWEST)
        page.run()

    assert [field.value for field in page.number_input] == [20, 44]
    assert [field.value for field in page.selectbox[:2]] == ["c", "c"]


def test_a_prediction_takes_four_requests_and_the_manifest_is_kept(relay, open_page):
    predict(open_page(relay.url))
    page = open_page(relay.url)
    assert len([path for path in relay.asked if path.startswith("GET /models/")]) == 1
    relay.asked.clear()

    predict(page)

    assert [path.partition("?")[0] for path in relay.asked] == [
        "POST /predict",
        "GET /health/ready",
        "POST /explain",
        "POST /explain",
    ]
