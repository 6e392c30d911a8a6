import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import BRIEF
from journal_server import entries, running_journal
from mlflow.tracking import MlflowClient
from processes import train
from servers import running_app
from werkzeug import Response

from reading.formats import Table
from table.dataset import make_dataset, read_iris
from training.feedback import (
    PAGE_ROWS,
    FeedbackUnavailable,
    LabelledPrediction,
    add_feedback,
    read_labelled,
)
from training.report import account

NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def flower(*values):
    return dict(zip(NAMES, values, strict=True))


NEW = flower(5.15, 3.45, 1.45, 0.25)
FIRST = flower(5.1, 3.5, 1.4, 0.2)  # of the table, a setosa


def add(dataset, *labelled):
    return add_feedback(dataset, [LabelledPrediction(*it) for it in labelled])


@pytest.fixture(scope="module")
def small():
    """A number, a boolean and a category, with nothing missing."""
    random = np.random.default_rng(0)
    columns = {"n": random.normal(size=40), "b": random.random(40) < 0.5, "c": ["p", "q"] * 20}
    frame = pd.DataFrame(columns).assign(y=random.choice(["no", "yes"], 40))
    return make_dataset(Table(frame, "0" * 64), "small", "y")


def test_a_labelled_prediction_becomes_a_row():
    iris = read_iris()

    dataset, left_out = add(iris, (NEW, "setosa"))

    assert not left_out
    assert dataset.X.iloc[150].to_dict() == NEW
    assert dataset.y.iloc[150] == "setosa"
    assert dataset.X.head(150).equals(iris.X)
    assert dataset.feedback_rows == 1
    assert (dataset.units, dataset.kinds) == (iris.units, iris.kinds)
    assert dataset.X.index.tolist() == dataset.y.index.tolist() == list(range(151))


def test_values_become_what_the_columns_hold(small):
    dataset, _ = add(
        small,
        ({"c": "new", "n": 7, "b": True}, "yes"),
        ({"n": None, "b": None, "c": None}, "no"),
    )

    assert dataset.X.dtypes.equals(small.X.dtypes)
    assert dataset.X.iloc[40].to_dict() == {"n": 7.0, "b": 1.0, "c": "new"}
    assert dataset.X.iloc[41].isna().all()
    assert small.nullable == []


def test_what_is_missing_makes_its_column_nullable_and_no_other(small):
    assert add(small, ({"n": 1.0, "b": None, "c": "p"}, "yes"))[0].nullable == ["b"]


def test_a_column_stays_what_the_table_says():
    """Were the column looked at again, it would number the rows and be left out."""
    numbers = [*range(39), 0]
    frame = pd.DataFrame({"n": numbers, "y": ["a", "b"] * 20})
    table = make_dataset(Table(frame, ""), "table", "y")

    dataset, left_out = add(table, ({"n": 39}, "a"), ({"n": 40}, "b"))

    assert not left_out
    assert dataset.kinds == {"n": "number"}


@pytest.mark.parametrize(
    ("inputs", "label", "reason"),
    [
        ({"n": 1.0, "b": True}, "yes", "of other features"),
        ({"n": 1.0, "b": True, "c": "p", "d": 1.0}, "yes", "of other features"),
        ({"n": 1.0, "b": True, "c": "p"}, "perhaps", "of another class"),
        ({"n": True, "b": True, "c": "p"}, "yes", "with a value of another kind"),
        ({"n": "1", "b": True, "c": "p"}, "yes", "with a value of another kind"),
        ({"n": [1], "b": True, "c": "p"}, "yes", "with a value of another kind"),
        ({"n": float("nan"), "b": True, "c": "p"}, "yes", "with a value of another kind"),
        ({"n": float("inf"), "b": True, "c": "p"}, "yes", "with a value of another kind"),
        ({"n": 10**400, "b": True, "c": "p"}, "yes", "with a value of another kind"),
        ({"n": 1.0, "b": 1, "c": "p"}, "yes", "with a value of another kind"),
        ({"n": 1.0, "b": True, "c": 7}, "yes", "with a value of another kind"),
        ({"n": 1.0, "b": True, "c": "\ud800"}, "yes", "with a value of another kind"),
    ],
)
def test_what_does_not_fit_is_left_out_with_its_reason(small, inputs, label, reason):
    dataset, left_out = add(small, (inputs, label))

    assert left_out == {reason: 1}
    assert dataset is small


def test_what_the_table_says_already_is_not_added():
    iris = read_iris()

    dataset, left_out = add(iris, (FIRST, "setosa"))

    assert left_out == {"there already": 1}
    assert dataset is iris


def test_what_contradicts_the_table_is_added_beside_it():
    dataset, left_out = add(read_iris(), (FIRST, "virginica"))

    assert not left_out
    assert dataset.y.iloc[[0, 150]].tolist() == ["setosa", "virginica"]


def test_equal_feedback_is_added_once_and_missing_values_are_equal(small):
    missing = {"n": None, "b": True, "c": None}

    for dataset, inputs, label in ((read_iris(), NEW, "setosa"), (small, missing, "yes")):
        added, left_out = add(dataset, *[(inputs, label)] * 3)
        assert added.feedback_rows == 1
        assert left_out == {"there already": 2}


def test_of_different_labels_of_the_same_inputs_the_latest_counts():
    labels = ["setosa", "virginica", "setosa", "versicolor"]

    dataset, left_out = add(read_iris(), *[(NEW, label) for label in labels])

    assert dataset.y.iloc[150:].tolist() == ["versicolor"]
    assert left_out == {"labelled anew later": 3}


def test_the_hash_tells_what_was_added():
    iris, other = read_iris(), flower(5.15, 3.45, 1.45, 0.35)
    new, contrary, another = (NEW, "setosa"), (NEW, "virginica"), (other, "setosa")

    additions = [add(iris, *it) for it in ([], [new], [contrary], [another], [new, another])]
    additions.append(add(replace(iris, sha256="0" * 64), new))

    hashes = [addition.dataset.sha256 for addition in additions]
    assert len(set(hashes)) == 6
    assert hashes[:2] == [iris.sha256, add(read_iris(), new).dataset.sha256]


def test_one_line_says_what_became_of_it():
    iris = read_iris()
    labelled = [(it, "setosa") for it in (NEW, FIRST, FIRST, {})]

    assert account(add(iris, *labelled)) == (
        "Feedback: 4 labelled predictions, 1 row added"
        " (left out: 2 there already, 1 of other features)."
    )
    assert account(add(iris, (NEW, "setosa"))) == "Feedback: 1 labelled prediction, 1 row added."
    assert account(add(iris)) == (
        "Feedback: no prediction of iris is labelled yet; training on the table alone."
    )
    assert add(iris).dataset is iris


def read_manifest(models_dir):
    return json.loads(max(models_dir.glob("*.json")).read_text())


def test_a_training_learns_from_feedback_and_is_compared_with_the_live_model(tmp_path, monkeypatch):
    table = read_iris().X.assign(species=read_iris().y)
    table.to_csv(tmp_path / "flowers.csv", index=False)
    command = ("--data", tmp_path / "flowers.csv", "--target", "species", *BRIEF)
    assert train(tmp_path, tmp_path, *command).returncode == 0
    live = read_manifest(tmp_path)

    said = entries((NEW, "setosa"), (flower(9.75, 3.0, 4.9, 1.7), "virginica"), (FIRST, "setosa"))
    with running_journal(said, "flowers") as server:
        monkeypatch.setenv("BACKEND_URL", server.url)
        monkeypatch.setenv("API_KEY", "first, second")
        done = train(tmp_path, tmp_path, *command, "--with-feedback")

    assert done.returncode == 0, done.stderr
    assert {it.headers["X-API-Key"] for it in server.asked} == {"first"}
    assert "3 labelled predictions, 2 rows added (left out: 1 there already)." in done.stdout
    assert f"Live {live['version']}" in done.stdout
    manifest = read_manifest(tmp_path)
    assert manifest["dataset"]["rows"] == 152
    assert manifest["dataset"]["sha256"] != live["dataset"]["sha256"]
    assert manifest["features"][0]["max"] == 9.75
    tracked = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    runs = tracked.search_runs(["1"], "attributes.run_name = 'training'", order_by=["start_time"])
    assert [it.data.params["feedback_rows"] for it in runs] == ["0", "2"]


def test_a_backend_that_is_away_ends_the_command_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKEND_URL", "http://user:secret@127.0.0.1:9")

    command = train(tmp_path, tmp_path, "--with-feedback")

    said = "The backend does not answer at http://127.0.0.1:9. Start it, or set BACKEND_URL."
    assert command.returncode == 1
    assert command.stderr.splitlines()[-1] == said
    assert not list(tmp_path.glob("*.pkl"))


def number(rows):
    return entries(*(({"x": float(row)}, "a") for row in range(rows)))


def read(server, key="", name="iris"):
    return list(read_labelled(server.url, key, name))


def test_all_pages_are_read_in_their_order():
    with running_journal(number(2 * PAGE_ROWS + 1)) as server:
        labelled = read(server)

    assert [it.inputs["x"] for it in labelled] == list(range(2 * PAGE_ROWS + 1))
    assert labelled[0].label == "a"
    assert [it.args.get("after") for it in server.asked] == [
        None,
        f"{PAGE_ROWS - 1:032x}",
        f"{2 * PAGE_ROWS - 1:032x}",
    ]


def test_only_what_the_models_of_the_name_predicted_is_asked_for():
    with running_journal(number(3), name="flowers & trees") as server:
        assert len(read(server, name="flowers & trees")) == 3
        assert read(server, name="iris") == []


def test_a_trailing_slash_of_the_address_does_no_harm():
    with running_journal(number(3)) as server:
        assert len(list(read_labelled(f"{server.url}/api/", "", "iris"))) == 3

    assert [it.path for it in server.asked] == ["/api/feedback"]


def test_no_proxy_of_the_environment_is_asked(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")

    with running_journal(number(3)) as server:
        assert len(read(server)) == 3


@pytest.mark.parametrize("key", ["a\nb", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_said_and_not_shown(key):
    with pytest.raises(FeedbackUnavailable) as refusal:
        list(read_labelled("http://127.0.0.1:9", key, "iris"))

    assert str(refusal.value) == "API_KEY cannot be sent. Use letters and digits."


def test_an_address_that_is_none_is_said():
    with pytest.raises(FeedbackUnavailable, match="Give it like http://localhost:8002"):
        list(read_labelled("backend", "", "iris"))


def require_refusal(said, *answer):
    response = Response(*answer)
    with running_app(lambda _: response) as url, pytest.raises(FeedbackUnavailable, match=said):
        list(read_labelled(url, "right", "iris"))


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, "", r"asks for a key\. Set API_KEY to one of those"),
        (404, '{"title": "Not Found"}', r"keeps no journal.*without JOURNAL=off"),
        (503, '{"detail": "The journal does not answer."}', "503: The journal does not answer."),
        (503, "<html>", "503. Try again later"),
    ],
)
def test_a_backend_in_trouble_is_said_as_it_says_it(status, body, said):
    require_refusal(said, body, status)


def test_an_answer_that_breaks_off_is_said():
    require_refusal("does not answer at", "5\r\nabc", 200, {"Transfer-Encoding": "chunked"})


@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        "[]",
        '{"feedback": []}',
        '{"feedback": null, "next": null}',
        '{"feedback": [{"inputs": {}}], "next": null}',
        '{"feedback": [{"inputs": [], "label": "a"}], "next": null}',
        '{"feedback": [{"inputs": {}, "label": 1}], "next": null}',
        '{"feedback": [], "next": 7}',
        '{"feedback": [], "next": ""}',
        '{"feedback": [], "next": "the same for ever"}',
    ],
)
def test_an_odd_answer_is_said(body):
    require_refusal("is no backend of this version", body)


def test_the_key_is_not_taken_elsewhere_by_a_redirection():
    with running_journal([]) as elsewhere:
        place = {"Location": f"{elsewhere.url}/feedback?name=iris"}
        require_refusal("answers 307", "", 307, place)

    assert elsewhere.asked == []
