import os
import signal

import pytest
from conftest import NAMES, VERSION
from journals import exposed, give_labels, predict, predict_rows, read, writer_of
from processes import wait_until
from sklearn.datasets import load_iris

from routes import feedback


@pytest.fixture(scope="module")
def client(journal_client):
    return journal_client


def label(prediction, name):
    return {"prediction_id": prediction["prediction_id"], "label": name}


def accuracies(client):
    return client.get("/monitoring").json()["accuracy"]["versions"]


def labels(client, *predictions):
    """The labels that are kept for these predictions."""
    rows = read(client.journal_url, "SELECT * FROM feedback")
    kept = {row["prediction_id"]: row["label"] for row in rows}
    return [kept.get(answer["prediction_id"]) for answer in predictions]


@pytest.mark.parametrize("count", [1, 3])
def test_labels_are_kept_right_after_their_predictions(client, count):
    answers = [predict(client) for _ in range(count)]

    given = [label(answer, "virginica") for answer in answers]
    response = client.post("/feedback", json=given if count > 1 else given[0])

    assert (response.status_code, response.json()) == (200, {"recorded": count})
    assert labels(client, *answers) == ["virginica"] * count


def test_the_last_label_counts_and_the_same_again_changes_nothing(start_journal):
    client = start_journal()
    answers = [predict(client), predict(client)]

    for name in ("virginica", "setosa", "setosa"):
        client.post("/feedback", json=label(answers[0], name))
    both = [label(answers[1], "virginica"), label(answers[1], "setosa")]
    response = client.post("/feedback", json=both)

    assert response.json() == {"recorded": 1}
    assert labels(client, *answers) == ["setosa", "setosa"]
    wait_until(lambda: accuracies(client)[0]["count"] == 2)


def test_of_an_unknown_prediction_or_label_nothing_is_kept(client):
    answer = predict(client)
    known = label(answer, "setosa")

    unknown = client.post("/feedback", json=[known, {"prediction_id": "x", "label": "y"}])
    refused = client.post("/feedback", json=[known, label(answer, "rosa")])

    assert (unknown.status_code, refused.status_code) == (404, 422)
    assert unknown.json()["errors"] == [{"label": 1, "detail": "No prediction x is known."}]
    assert "rosa is no class of the model" in refused.json()["detail"]
    assert "setosa, versicolor, virginica" in refused.json()["detail"]
    assert labels(client, answer) == [None]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "EOF"),
        (b"{", 400, "Send a prediction_id and its label"),
        (b"[]", 422, "at least 1 item"),
        (b"7", 422, "should be an object"),
        (b'{"prediction_id": "x"}', 422, "label: Field required."),
        (b'[{"label": "y"}, {"label": 1}]', 422, "0/prediction_id: Field required."),
        (b'[{"prediction_id": "x", "label": 1}]', 422, "0/label: Input should be a valid string."),
        (b'{"prediction_id": "x", "label": "y", "more": 1}', 422, "more: Extra inputs"),
        (b"{" + b",".join(b'"%d": 0' % key for key in range(101)) + b"}", 422, "this has many."),
        (b'{"prediction_id": "' + b"x" * 101 + b'", "label": "y"}', 422, "at most 100"),
    ],
)
def test_a_body_that_is_no_feedback_says_what_is_wrong(client, body, status, said):
    response = client.post("/feedback", content=body, headers={"Content-Type": "application/json"})

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert said in response.json()["detail"]
    assert "1/" not in response.json()["detail"]  # the first is told alone


def test_a_journal_away_answers_503_and_a_large_body_413(start_journal, tmp_path, monkeypatch):
    monkeypatch.setattr(feedback, "WRITTEN_SECONDS", 0.1)
    url = f"sqlite:///{tmp_path}/never/journal.db"
    client = start_journal(journal_url=url, max_body_bytes=1000)
    given = label(predict(client), "setosa")

    posted = client.post("/feedback", json=given)
    for response in (posted, client.get("/feedback?name=iris")):
        assert response.status_code == 503
        assert response.headers["retry-after"] == "5"
        assert response.json()["title"] == "Journal away"
    assert client.post("/feedback", json=[{"x": "y" * 1000}]).status_code == 413


def test_what_waits_for_a_journal_that_is_behind_is_not_called_unknown(client, monkeypatch):
    client.post("/feedback", json=label(predict(client), "setosa"))  # there is a journal
    monkeypatch.setattr(feedback, "WRITTEN_SECONDS", 0.1)
    writer = writer_of(client)

    os.kill(writer, signal.SIGSTOP)
    try:
        response = client.post("/feedback", json=label(predict(client), "setosa"))
    finally:
        os.kill(writer, signal.SIGCONT)

    assert response.status_code == 503
    assert response.json()["detail"] == "The journal is behind. Send it again later."


def test_accuracy_confusion_and_calibration_are_those_of_the_labels(start_journal):
    client = start_journal()
    iris = load_iris()
    ids = predict_rows(client, iris.data.tolist())
    give_labels(client, ids, iris.target_names[iris.target].tolist())

    wait_until(lambda: accuracies(client)[0]["count"] == 150)
    [found] = accuracies(client)
    right = sum(found["confusion"][name].get(name, 0) for name in iris.target_names)
    assert found["model_version"] == VERSION
    assert found["accuracy"] == pytest.approx(right / 150)
    assert 0.9 < found["accuracy"] < 1
    assert sum(sum(row.values()) for row in found["confusion"].values()) == 150
    assert found["confusion"]["setosa"] == {"setosa": 50}
    assert sum(part["count"] for part in found["calibration"]) == 150
    assert found["calibration"][-1]["from"] == 0.9
    for part in found["calibration"]:
        assert part["from"] <= part["probability"] <= part["to"]
    assert 0.8 < found["expected"] < 1
    wait_until(lambda: exposed(client)["model_labelled_predictions"] == 150)
    assert exposed(client)["model_accuracy_ratio"] == found["accuracy"]


def test_labelled_predictions_of_a_model_are_listed_in_pages_of_some_rows(client):
    rows = load_iris().data[:6].tolist()
    by_id = dict(zip(predict_rows(client, rows), rows, strict=True))
    before, *ids = sorted(by_id)  # no order of rows: several ids have the same millisecond
    give_labels(client, ids, ["setosa"] * 5)
    asked = {"name": "iris", "limit": 3}

    first = client.get("/feedback", params=asked | {"after": before}).json()
    second = client.get("/feedback", params=asked | {"after": first["next"]}).json()

    pages = [[row["prediction_id"] for row in page["feedback"]] for page in (first, second)]
    assert (pages, second["next"]) == ([ids[:3], ids[3:]], None)
    assert first["feedback"][0] == {
        "prediction_id": ids[0],
        "model_version": VERSION,
        "inputs": dict(zip(NAMES, by_id[ids[0]], strict=True)),
        "label": "setosa",
        "prediction_class": "setosa",
    }
    other = client.get("/feedback", params={"name": "penguins"})
    assert other.json() == {"feedback": [], "next": None}
    none = client.get("/feedback", params={"name": "iris", "limit": 0})
    assert none.status_code == 422
    assert none.json()["detail"] == "limit: Input should be greater than or equal to 1."
