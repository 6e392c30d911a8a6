import pytest
import requests
from drawn import find_chart, find_charts, said
from mixed import VERSION, number

import texts


def count(route, by_status, p50, p99):
    """The backend's counts of a route."""
    latency = {"p50": p50, "p99": p99}
    number = sum(by_status.values())
    return {"route": route, "count": number, "by_status": by_status, "latency_seconds": latency}


SEEN = {
    "model_version": VERSION,
    "since": "2026-11-24T09:41:00Z",
    "requests": [
        count("/predict", {"200": 990, "422": 10}, 0.00012, 0.0009),
        count("/health/ready", {"200": 4000, "503": 1000}, 0.001, 0.001),
    ],
    "predictions": {"count": 990, "by_class": {"setosa": 900, "versicolor": 90, "virginica": 0}},
    "journal": {"lag_seconds": 0.1, "lost": 0, "trouble": None},
    "drift": None,
    "accuracy": {"versions": []},
    "shadow": None,
}
HISTOGRAM = {"edges": [18, 44, 80], "counts": {"setosa": [1, 2]}, "missing": {}}
SHIFTED = {"psi": 0.31, "verdict": "shifted"}
MODERATE = {"psi": 0.12, "verdict": "moderate"}
UNKNOWN = {"psi": None, "verdict": "unknown"}
CALIBRATED = {"from": 0.9, "to": 1.0, "count": 40, "probability": 0.97, "accuracy": 0.925}
LABELLED = {
    "count": 40,
    "accuracy": 0.925,
    "expected": 0.91,
    "calibration": [CALIBRATED],
    "confusion": {"setosa": {"setosa": 36}, "versicolor": {"setosa": 3, "versicolor": 1}},
}
SHADOW = {"model_version": "2026_12_01_T08_00_00", "accuracy": 0.9, "count": 30}
SHADOW |= {"answered": 5000, "skipped": 7, "agreed": 4800, "agreement": 0.96}


def find(feature="sepal_width", bins=20, **changes):
    """What is known of a feature in a window."""
    stable = {"psi": 0.02, "verdict": "stable", "missing": 0.0, "outside": 0.0, "unknown": 0.0}
    counts = [0] * (bins - 1) + [128]
    return {"feature": feature, "observed": {"counts": counts}} | stable | changes


def make_drift(*features, rows=512, **classes):
    """Of the last day; in the last hour were too few rows, and since this model all is well."""
    observed = {"observed": {"setosa": rows}}
    few = {"rows": 12, "classes": UNKNOWN | observed, "features": [find(**UNKNOWN)]}
    day = {"classes": find() | observed | classes, "features": list(features)}
    well = {"rows": 9000, "classes": find() | observed, "features": [find()]}
    return {
        "min_rows": 100,
        "windows": [
            {"window": "hour"} | few,
            {"window": "day", "rows": rows} | day,
            {"window": "model"} | well,
        ],
    }


@pytest.fixture
def seen(relay):
    """What the backend says of itself; a test may change it."""
    relay.answers["/monitoring"] = dict(SEEN)
    return relay.answers["/monitoring"]


@pytest.fixture
def look(relay, open_page, seen):
    """Opens the view on a backend that says something else, too."""

    def open_view(language="en", **changes):
        seen.update(changes)
        page = open_page(relay.url, "monitoring", language=language)
        assert not page.exception
        return page

    return open_view


@pytest.fixture
def page(look):
    return look()


def figures(page):
    return {figure.label: figure.value for figure in page.metric}


def choose_window(page, window):
    page.segmented_control(key="drift window").set_value(window).run()


def test_the_real_backends_figures_are_shown(iris_url, open_page):
    example = requests.get(f"{iris_url}/models/live", timeout=5).json()["manifest"]["examples"][0]
    for _ in range(5):
        requests.post(f"{iris_url}/predict", json=example["inputs"], timeout=5)

    page = open_page(iris_url, "monitoring")

    assert not page.exception
    assert int(figures(page)["Rows predicted"].replace(",", "")) >= 5
    assert figures(page)["Median time of /predict"].endswith(" ms")
    assert "/predict" in list(page.dataframe[0].value["Route"])
    assert find_chart(page, texts.CLASS_SHARES())


def test_what_the_backend_counts_is_shown_without_the_pages_own_looks(page):
    assert figures(page) == {
        "Rows predicted": "990",
        "Requests": "1,000",
        "Error share": "1.0%",
        "Median time of /predict": "0.12 ms",
        "99th percentile of /predict": "0.9 ms",
    }
    rows = find_chart(page, texts.CLASS_SHARES()).rows
    shares = {(row["name"], row["of"]): row["share"] for row in rows}
    assert shares["setosa", texts.ANSWERED()] == 900 / 990
    assert shares["setosa", texts.TRAINED()] == pytest.approx(1 / 3)
    table = page.dataframe[0].value
    assert list(table["Errors"]) == ["422: 10", "503: 1000"]
    assert list(table["Median (ms)"]) == [0.12, 1.0]
    assert texts.SHADOW() not in [header.value for header in page.header]


def test_traffic_is_what_came_between_two_looks_and_never_negative(page, seen):
    assert texts.TRAFFIC_SOON() in said(page)

    seen["requests"] = [SEEN["requests"][0] | {"count": 1100}]
    page.run()
    [point] = find_chart(page, texts.TRAFFIC()).rows
    assert point["rate"] > 0

    seen["requests"] = [SEEN["requests"][0] | {"count": 3}]  # the backend has begun again
    page.run()
    assert texts.TRAFFIC_SOON() in said(page)


def test_without_a_journal_nothing_is_known_of_drift_and_accuracy(look):
    page = look(journal=None, drift=None, accuracy=None)

    assert texts.NOTHING_TO_DRIFT() in said(page)
    assert texts.NOTHING_TO_MEASURE() in said(page)
    assert not page.warning


def test_trouble_of_the_journal_is_one_warning_and_its_losses_stay_said(look, seen):
    troubled = {"lag_seconds": 9.0, "lost": 1200, "trouble": "The *disk* is full."}
    page = look(journal=troubled, drift=None, accuracy=None)
    [warning] = page.warning
    assert "The \\*disk\\* is full." in warning.value
    assert texts.JOURNAL_LOST(count="1,200") in warning.value
    assert said(page).count(texts.NOT_KNOWN_NOW()) == 2

    seen["journal"] = {"lag_seconds": 0.1, "lost": 3, "trouble": None}
    assert [warning.value for warning in page.run().warning] == [texts.JOURNAL_LOST(count="3")]


def test_features_are_drawn_with_a_verdict_the_most_shifted_first(look):
    shifted = find("petal_length", missing=0.5, **SHIFTED)
    features = [find(), shifted, find("petal_width", **MODERATE)]
    page = look(drift=make_drift(*features))

    assert [line for line in said(page) if " · PSI " in line] == [
        ":green[:material/check_circle:] **Predicted classes**: stable · PSI 0.02",
        ":red[:material/error:] **Petal length (cm)**: shifted · PSI 0.31",
        ":orange[:material/warning:] **Petal width (cm)**: moderate shift · PSI 0.12",
        ":green[:material/check_circle:] **Sepal width (cm)**: stable · PSI 0.02",
    ]
    rows = find_chart(page, texts.DRIFT_OF(feature="Petal length (cm)")).rows
    assert len(rows) == 40
    assert rows[-1]["share"] == 0.5  # 128 of the 256 that had a value
    assert find_chart(page, texts.CLASS_DRIFT())


def test_a_shift_is_said_on_top_with_some_of_many_features(look, seen):
    page = look(drift=make_drift(find("petal_length", **SHIFTED), find(), **SHIFTED))
    [warning] = page.warning
    assert warning.value == (
        "Last day: what the model is asked is no longer like its training table. "
        "Shifted: Petal length (cm), Predicted classes."
    )

    seen["drift"] = make_drift(*[find(f"hostile *{index}*", **SHIFTED) for index in range(200)])
    [warning] = page.run().warning
    assert warning.value.endswith("Hostile \\*5\\*, and 194 more.")


def test_the_window_can_be_chosen_and_stays_chosen(look):
    page = look(drift=make_drift(find(**SHIFTED)))

    choose_window(page, "hour")
    assert texts.TOO_FEW_ROWS(rows="12", least="100") in said(page)
    assert ":material/help: **Sepal width (cm)**: too few rows" in said(page)
    assert find_chart(page, texts.DRIFT_OF(feature="Sepal width (cm)"))
    assert not page.warning

    choose_window(page, "model")
    assert not page.warning
    assert any("Rows predicted: 9,000" in line for line in said(page))
    page.switch_page("views/models.py").run().switch_page("views/monitoring.py").run()
    assert any("Rows predicted: 9,000" in line for line in said(page))


def test_a_window_without_rows_is_one_sentence(look):
    nothing = dict.fromkeys(texts.SHARES)
    page = look(drift=make_drift(find(**UNKNOWN | nothing), rows=0, **UNKNOWN))

    assert texts.NO_ROWS() in said(page)
    assert not [name for name in find_charts(page) if name.startswith("Share of rows by")]


def test_shares_of_what_the_model_has_not_seen_are_told_where_there_are_any(look):
    page = look(drift=make_drift(find(outside=0.12, missing=0.034), find("petal_length")))

    told = [line for line in said(page) if "outside the training range" in line]
    assert told == ["3.4% missing · 12.0% outside the training range"]


def test_of_many_features_a_dozen_is_drawn_and_the_others_are_listed(look, relay):
    names = [f"feature {index}" for index in range(200)]
    model = requests.get(f"{relay.url}/models/live", timeout=5).json()
    model["manifest"]["features"] = [number(name) | {"histogram": HISTOGRAM} for name in names]
    relay.answers["/models/wide"] = model | {"version": "wide"}
    relay.answers["/health/ready"] = {"model_version": "wide"}
    features = [find(name, 2, psi=index / 1000) for index, name in enumerate(names)]
    page = look(drift=make_drift(*features))

    drawn = [name for name in find_charts(page) if name.startswith("Share of rows by Feature")]
    table = page.dataframe[1].value
    assert len(drawn) == 12
    assert texts.DRIFT_OF(feature="Feature 188 (a)") in drawn
    assert list(table["Feature"][:2]) == ["Feature 187 (a)", "Feature 186 (a)"]
    assert len(table) == 188
    assert list(table.columns)[1:3] == ["Verdict", "PSI"]


def test_what_the_manifest_has_no_histogram_of_is_listed(look):
    page = look(drift=make_drift(find("colour", **SHIFTED), find(bins=7)))

    assert list(page.dataframe[1].value["Feature"]) == ["Colour", "Sepal width (cm)"]
    assert list(page.dataframe[1].value["Verdict"]) == ["shifted", "stable"]


def test_accuracy_is_shown_with_what_was_expected_right_classes_and_calibration(look):
    page = look(accuracy={"versions": [LABELLED | {"model_version": VERSION}]})

    shown = figures(page)
    names = ("Accuracy", "Expected by the model", "With feedback")
    assert [shown[name] for name in names] == ["92.5%", "91.0%", "40"]
    assert any(f"Answers of model {VERSION}" in line for line in said(page))
    assert not page.selectbox
    chart = find_chart(page, texts.CONFUSION())
    assert chart.spec["encoding"]["x"]["scale"]["domain"] == ["setosa", "versicolor", "virginica"]
    assert find_chart(page, texts.CALIBRATION()).rows == [CALIBRATED]


def test_a_model_without_probabilities_expects_nothing(look):
    unsure = {"model_version": "v1", "expected": None, "calibration": []}
    page = look(accuracy={"versions": [LABELLED | unsure]})

    assert figures(page)["Expected by the model"] == "–"
    assert texts.NO_PROBABILITIES() in said(page)


def test_of_several_versions_with_feedback_one_is_chosen(look):
    unlabelled = {"model_version": VERSION, "count": 0, "accuracy": None}
    older = {"model_version": "v1", "accuracy": 0.5, "confusion": {"ant": {"bee": 40}}}
    versions = [LABELLED | changes for changes in (unlabelled, {"model_version": "v2"}, older)]
    page = look(accuracy={"versions": versions})

    assert page.selectbox[0].options == ["v2", "v1"]
    assert figures(page)["Accuracy"] == "92.5%"

    page.selectbox[0].set_value("v1").run()
    assert figures(page)["Accuracy"] == "50.0%"
    domain = find_chart(page, texts.CONFUSION()).spec["encoding"]["y"]["scale"]["domain"]
    assert domain == ["ant", "bee"]


def test_very_many_classes_are_listed_the_errors_first(look):
    right = {f"class {index}": {f"class {index}": index + 1} for index in range(16)}
    confusion = right | {"class 3": {"class 3": 4, "class 4": 2}}
    page = look(accuracy={"versions": [LABELLED | {"model_version": "v1", "confusion": confusion}]})

    table = page.dataframe[1].value
    assert list(table.iloc[0]) == ["class 3", "class 4", 2]
    assert list(table.iloc[1]) == ["class 15", "class 15", 16]
    assert len(table) == 17


@pytest.mark.parametrize("versions", [[], [{"model_version": "v1", "count": 0}]])
def test_without_feedback_it_is_said_what_gives_some(look, versions):
    page = look(accuracy={"versions": versions})

    assert texts.NO_ACCURACY() in said(page)
    assert "Accuracy" not in figures(page)


def test_a_shadow_is_compared_with_the_live_model(look):
    live = LABELLED | {"model_version": VERSION}
    page = look(shadow=SHADOW, accuracy={"versions": [live]})

    shown = figures(page)
    assert shown["Answered by both"] == "5,000"
    assert shown["Same class"] == "96.0%"
    assert shown["Its accuracy"] == "90.0%"
    assert shown["Live accuracy"] == "92.5%"
    assert texts.SHADOW_COUNTS(count="30", live_count="40") in said(page)
    assert texts.SHADOW_SKIPPED(count="7") in said(page)


def test_a_shadow_without_answers_has_no_figures_yet(look):
    none = {"answered": 0, "skipped": 0, "agreement": None, "accuracy": None, "count": 0}
    page = look(shadow=SHADOW | none, accuracy=None)

    assert {figures(page)[key] for key in ("Same class", "Its accuracy", "Live accuracy")} == {"–"}


def test_french_is_spoken_where_it_is_chosen(look):
    page = look(language="fr", drift=make_drift(find("petal_length", **SHIFTED)))

    assert page.title[0].value == "Suivi"
    assert [line for line in said(page) if "**Petal length (cm)**: dérive · PSI 0,31" in line]


def test_nothing_asked_yet_is_said(page, seen):
    seen["predictions"] = {"count": 0, "by_class": {"setosa": 0, "versicolor": 0, "virginica": 0}}
    seen["requests"] = []
    page.run()

    assert not page.exception
    assert texts.NO_ANSWERS() in said(page)


def test_a_backend_that_does_not_count_is_said_kindly(relay, open_page):
    relay.answers["/monitoring"] = (404, b'{"detail": "There is nothing at /monitoring."}')
    page = open_page(relay.url, "monitoring")

    assert not page.exception
    assert texts.NO_MONITORING() in said(page)
    assert not find_charts(page)
