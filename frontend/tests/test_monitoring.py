import json

import pytest
import requests
from drawn import find_chart, find_charts
from servers import running_relay

import texts

SEEN = {
    "model_version": "2026_11_21_T20_44_20",
    "since": "2026-11-24T09:41:00Z",
    "requests": [
        {
            "route": "/predict",
            "count": 1000,
            "by_status": {"200": 990, "422": 10},
            "latency_seconds": {"p50": 0.00012, "p90": 0.0003, "p99": 0.0009},
        },
        {
            "route": "/health/ready",
            "count": 5000,
            "by_status": {"200": 4000, "503": 1000},
            "latency_seconds": {"p50": 0.001, "p90": 0.001, "p99": 0.001},
        },
    ],
    "predictions": {"count": 990, "by_class": {"setosa": 900, "versicolor": 90, "virginica": 0}},
    "drift": None,
    "accuracy": None,
}


@pytest.fixture
def seen():
    """What the backend says of itself; a test may change it."""
    return dict(SEEN)


@pytest.fixture
def page(iris_url, open_page, seen):
    def answer(path):
        return (200, json.dumps(seen).encode()) if path == "/monitoring" else None

    with running_relay(iris_url, answer) as (url, _):
        yield open_page(url, "monitoring")


def said(page):
    kinds = (page.markdown, page.caption, page.info, page.warning)
    return [element.value.replace("\\", "") for kind in kinds for element in kind]


def figures(page):
    return {figure.label: figure.value for figure in page.metric}


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


def test_the_pages_own_looks_are_not_counted_as_traffic(page):
    assert figures(page) == {
        "Rows predicted": "990",
        "Requests": "1,000",
        "Error share": "1.0%",
        "Median time of /predict": "0.12 ms",
        "99th percentile of /predict": "0.9 ms",
    }


def test_traffic_is_what_came_between_two_looks(page, seen):
    assert texts.TRAFFIC_SOON() in said(page)

    seen["requests"] = [SEEN["requests"][0] | {"count": 1100}]
    page.run()

    [point] = find_chart(page, texts.TRAFFIC()).rows
    assert point["rate"] > 0


def test_a_backend_that_begins_anew_has_no_negative_traffic(page, seen):
    seen["requests"] = [SEEN["requests"][0] | {"count": 3}]
    page.run()

    assert texts.TRAFFIC_SOON() in said(page)


def test_predicted_classes_stand_beside_those_of_the_training_table(page):
    rows = find_chart(page, texts.CLASS_SHARES()).rows

    shares = {(row["name"], row["of"]): row["share"] for row in rows}
    assert shares["setosa", texts.ANSWERED()] == 900 / 990
    assert shares["setosa", texts.TRAINED()] == pytest.approx(1 / 3)


def test_errors_are_told_by_route_and_status(page):
    table = page.dataframe[0].value

    assert list(table["Errors"]) == ["422: 10", "503: 1000"]
    assert list(table["Median (ms)"]) == [0.12, 1.0]


def test_what_is_not_there_yet_is_said_kindly(page):
    assert texts.NO_DRIFT() in said(page)
    assert texts.NO_ACCURACY() in said(page)


def test_drift_is_drawn_with_both_histograms_and_a_verdict(page, seen):
    feature = {"feature": "petal_length", "psi": 0.31, "verdict": "shifted"}
    seen["drift"] = {"features": [feature | {"observed": {"counts": [0] * 19 + [50]}}]}
    page.run()

    assert "**Petal length (cm)**: shifted · PSI 0.31" in said(page)
    rows = find_chart(page, texts.HISTOGRAM_OF(feature="Petal length (cm)")).rows
    assert len(rows) == 40
    assert sum(row["share"] for row in rows) == pytest.approx(2)


def test_live_accuracy_is_said_when_there_is_feedback(page, seen):
    seen["accuracy"] = {"accuracy": 0.925, "count": 40}
    page.run()

    assert "92.5% of 40 predictions with feedback were right." in said(page)


def test_nothing_asked_yet_is_said(page, seen):
    seen["predictions"] = {"count": 0, "by_class": {"setosa": 0, "versicolor": 0, "virginica": 0}}
    seen["requests"] = []
    page.run()

    assert not page.exception
    assert texts.NO_ANSWERS() in said(page)


def test_a_backend_that_does_not_count_is_said_kindly(iris_url, open_page):
    answers = {"/monitoring": (404, b'{"detail": "There is nothing at /monitoring."}')}
    with running_relay(iris_url, answers.get) as (url, _):
        page = open_page(url, "monitoring")

    assert not page.exception
    assert texts.NO_MONITORING() in said(page)
    assert not find_charts(page)


def test_a_backend_that_is_away_is_one_sentence(open_page):
    page = open_page("http://127.0.0.1:9", "monitoring")

    assert not page.exception
    assert said(page).count(texts.BACKEND_AWAY()) == 1
