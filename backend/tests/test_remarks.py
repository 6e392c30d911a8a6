import json
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pytest
from conftest import NAMES, SETOSA, fit, make_model, number
from formats import ARROW, CSV, FORMATS, JSON, PARQUET, write
from mixed import INSTANCE

from batch.remarks import write_headers
from schemas import PredictionColumns, RowPredictions
from worker.exchange import Message

UNUSUAL = [
    INSTANCE,
    INSTANCE | {"age": None, "island": "Anvers"},
    INSTANCE | {"age": 99.0, "sex": 'M, "F" or – 🐧'},
]
WARNINGS = {
    "age": {"missing": 1, "out_of_range": 1},
    "island": {"unknown": 1},
    "sex": {"unknown": 1},
}


def post(client, rows, sent, wanted=JSON):
    body = write(pa.Table.from_pylist(rows), sent)
    headers = {"Content-Type": sent, "Accept": wanted}
    response = client.post("/predict/batch", content=body, headers=headers)
    assert response.status_code == 200, response.text
    return response


def remark(names=NAMES, rows=9, counts=None, **head):
    """The headers for what is said of a table of a model with these features."""
    model = make_model(fit(), features=[number(name) for name in names])
    warnings = np.zeros((len(names), 3), np.int64) if counts is None else np.array(counts)
    message = Message({"read_as": "", "renamed": 0} | head, {"warnings": warnings})
    return write_headers(message, model, rows)


@pytest.mark.parametrize("sent", FORMATS)
@pytest.mark.parametrize("wanted", FORMATS)
def test_an_answer_counts_what_it_warns_of(mixed_client, sent, wanted):
    response = post(mixed_client, UNUSUAL, sent, wanted)

    assert json.loads(response.headers["x-warnings"]) == WARNINGS
    if wanted == JSON:
        assert response.json()["warnings"] == WARNINGS


def test_an_answer_without_warnings_has_no_header_of_them(mixed_client):
    response = post(mixed_client, [INSTANCE], JSON)

    assert response.json()["warnings"] == {}
    assert not {"x-warnings", "x-answer-columns"} & {*response.headers}


def test_json_has_the_warnings_before_the_rows_and_is_what_the_schema_says(mixed_client):
    columns = {name: [row[name] for row in UNUSUAL] for name in INSTANCE}
    by_rows = mixed_client.post("/predict/batch", json={"instances": UNUSUAL}).json()
    by_columns = mixed_client.post("/predict/batch", json={"columns": columns}).json()

    assert [*by_rows] == ["model_version", "warnings", "predictions"]
    assert [*by_columns] == ["model_version", "warnings", "columns"]
    for kind, answer in ((RowPredictions, by_rows), (PredictionColumns, by_columns)):
        assert kind.model_validate(answer).model_dump() == answer


def test_a_page_elsewhere_may_read_the_headers_that_are_described(start_live):
    client = start_live(cors_origins="https://page.example")
    described = client.get("/openapi.json").json()["paths"]["/predict/batch"]["post"]

    answer = client.get("/", headers={"Origin": "https://page.example"})

    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"X-Warnings", "X-Read-As", "X-Answer-Columns"} < {*exposed}
    assert {*described["responses"]["200"]["headers"]} < {*exposed}


@pytest.mark.parametrize("wanted", FORMATS)
def test_an_answer_says_how_a_table_of_text_was_read(client, wanted):
    body = ";".join(NAMES) + "\n5,1;3,5;1,4;99\nTotal: 1;;;\n"
    headers = {"Content-Type": CSV, "Accept": wanted}

    response = client.post("/predict/batch", content=body, headers=headers)

    said = response.headers["x-read-as"]
    assert said.startswith("Read as UTF-8, separated by semicolons")
    assert said.endswith("Row 2 is no data and has no answer.")
    assert response.headers["x-warnings"] == '{"petal_width":{"out_of_range":1}}'
    assert wanted != JSON or response.json()["read_as"] == said


@pytest.mark.parametrize("sent", [JSON, PARQUET, ARROW])
def test_formats_that_leave_no_choice_are_not_said_to_be_read_as_anything(client, sent):
    response = post(client, [SETOSA], sent)

    assert "read_as" not in response.json()
    assert "x-read-as" not in response.headers


def test_warnings_of_too_many_columns_are_those_with_the_most_rows():
    names = [f"column {it:04}" for it in range(1000)]
    counts = np.tile(np.arange(1000), (3, 1)).T

    said = remark(names, 1000, counts)["X-Warnings"]

    assert len(said) <= 4000
    found = json.loads(said)
    more = found.pop("…")
    assert more == 999 - len(found)
    assert [*found] == names[: -len(found) - 1 : -1]
    assert len(found) > 50


def test_names_of_too_many_columns_are_cut():
    model = make_model(fit(), target={"name": "y", "classes": [f"c{it}" for it in range(1000)]})
    message = Message({"read_as": "", "renamed": 1}, {"warnings": np.zeros((4, 3), np.int64)})

    said = write_headers(message, model, 1)["X-Answer-Columns"]

    assert len(said) <= 4000
    found = json.loads(said)
    assert found[:2] == ["model_prediction_class", "model_probability_c0"]
    assert found[-1] == "…"


@pytest.mark.parametrize("name", ["é", "🐧", "a\r\nb: c", "\x7f\0", '"'])
def test_headers_are_printable_ascii_whatever_a_column_is_called(name):
    said = remark([name], counts=[[0, 1, 0]])["X-Warnings"]

    assert said.isascii()
    assert said.isprintable()
    assert json.loads(said) == {name: {"missing": 1}}


def test_what_was_read_is_quoted_and_cut_between_characters():
    text = "Read sheet Größe 100%41 (🐧)\r\nX: y"
    long = "é" * 30 + "a" * 600 + "é" * 3000

    assert unquote(remark(read_as=text)["X-Read-As"]) == text
    assert "\r" not in remark(read_as=text)["X-Read-As"]
    cut = remark(read_as=long)["X-Read-As"]
    assert len(cut) <= 1000
    assert long.startswith(unquote(cut, errors="strict"))
    assert unquote(cut).startswith("é" * 30 + "a" * 600)
