import gzip
import json
from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from conftest import NAMES, SETOSA, VERSION, drop, fit, number
from formats import ARROW, CSV, FORMATS, JSON, PARQUET, read, write
from mixed import INSTANCE, ask, fit_mixed
from sklearn.svm import LinearSVC

from schemas import Boolean, Category, Description, Number, Written
from worker.media import Format
from worker.tables.columns import Columns
from worker.tables.table import Table

CLASSES = ["setosa", "versicolor", "virginica"]
ANSWER = ["prediction_class", *(f"probability_{name}" for name in CLASSES)]
TABLES = [CSV, PARQUET, ARROW]
DECIMALS = [pa.decimal128(5, 2), pa.decimal32(5, 2)]
CODED = pa.dictionary(pa.int8(), pa.float64())
CODED_TEXT = pa.dictionary(pa.int32(), pa.string())
OLDER = "2026_11_20_T00_00_00"
IRIS = b"sepal_length,sepal_width,petal_length,petal_width\n"


def draw(rows=40_000):
    X = np.random.default_rng(0).uniform(0.1, 7.9, (rows, 4)).round(1)
    return pa.table({name: X[:, index] for index, name in enumerate(NAMES)})


def post(client, body, media_type=CSV, accept="*/*", **headers):
    sent = {"Content-Type": media_type, "Accept": accept, **headers}
    return client.post("/predict/batch", content=body, headers=sent)


def predict(client, table, media_type=ARROW):
    response = post(client, write(table, media_type), media_type)
    assert response.status_code == 200, response.text
    return read(response.content, media_type)


def faults(response):
    assert response.status_code == 422, response.text
    return [(it.get("row"), it.get("column"), it["detail"]) for it in response.json()["errors"]]


@pytest.mark.parametrize("sent", FORMATS)
@pytest.mark.parametrize("wanted", FORMATS)
def test_every_row_gets_the_estimators_own_answer_in_any_format(client, sent, wanted):
    table = draw()

    response = post(client, write(table, sent), sent, wanted)

    assert response.headers["content-type"].partition(";")[0] == wanted
    assert response.headers["x-model-version"] == VERSION
    answer = read(response.content, wanted)
    expected = fit().predict_proba(np.column_stack(table.columns))
    found = np.column_stack([answer[name].cast(pa.float64()) for name in ANSWER[1:]])
    assert np.allclose(found, expected, atol=1e-12)
    labels = np.array(CLASSES)[expected.argmax(axis=1)]
    assert answer["prediction_class"].to_pylist() == labels.tolist()


def test_instances_get_predictions_as_one_by_one(client):
    instances = [SETOSA, SETOSA | {"petal_length": 6.5, "petal_width": 2.4}]

    answer = client.post("/predict/batch", json={"instances": instances}).json()

    assert answer["model_version"] == VERSION
    assert [it["prediction_class"] for it in answer["predictions"]] == ["setosa", "virginica"]
    for instance, it in zip(instances, answer["predictions"], strict=True):
        single = client.post("/predict", json=instance).json()
        assert it["probabilities"] == pytest.approx(single["probabilities"], abs=1e-12)


@pytest.mark.parametrize("media_type", TABLES)
def test_all_columns_come_back_as_they_were_before_those_of_the_answer(client, media_type):
    texts = ["plain", "", 'a "quote"', "one,\ntwo", None, "🐧", "007", " x "] * 6000
    table = draw(48_000).append_column("note", pa.array(texts)).select([4, 3, 0, 2, 1])

    answer = predict(client, table, media_type)

    assert answer.column_names == [*table.column_names, *ANSWER]
    sent = read(write(table, media_type), media_type)
    assert answer.select(table.column_names).equals(sent)


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.uint64(), pa.float16(), pa.float32(), *DECIMALS, CODED], ids=str
)
def test_numbers_are_taken_in_any_type_and_returned_in_it(client, kind):
    whole = pa.array([5, 3, 1] * 6000, pa.int8())
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    column = pa.array(map(Decimal, whole.to_pylist()) if "decimal" in str(kind) else whole, plain)
    column = column.dictionary_encode() if plain is not kind else column
    table = pa.table(dict.fromkeys(NAMES, column))

    answer = predict(client, table)

    assert answer.schema.field("sepal_length").type == column.type
    expected = predict(client, pa.table(dict.fromkeys(NAMES, whole.cast(pa.float64()))))
    assert answer.select(ANSWER).equals(expected.select(ANSWER))


@pytest.mark.parametrize("media_type", [PARQUET, ARROW])
@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), CODED_TEXT], ids=str
)
def test_text_is_taken_in_any_type_and_the_missing_is_filled_in(mixed_client, media_type, kind):
    rows = [INSTANCE, INSTANCE | {"island": "Dream", "sex": "male"}, INSTANCE | {"island": None}]
    rows = [row | {"age": None} for row in rows]  # a column without values
    table = pa.Table.from_pylist(rows)
    for name in ("island", "sex"):
        place = table.column_names.index(name)
        column = table[name].dictionary_encode() if "dict" in str(kind) else table[name].cast(kind)
        table = table.set_column(place, name, column)

    answer = predict(mixed_client, table, media_type)

    expected = [ask(fit_mixed(), row)[1] for row in rows]
    assert answer["probability_yes"].to_pylist() == pytest.approx(expected, abs=1e-12)


def test_texts_of_a_view_come_back_once_and_not_with_every_chunk(client):
    texts = pa.array([f"a text of its own, {it:06}" for it in range(100_000)])
    table = draw(100_000).append_column("text", texts.cast(pa.string_view()))

    response = post(client, write(table, ARROW), ARROW)

    assert len(response.content) < 15_000_000
    assert read(response.content, ARROW)["text"].combine_chunks().equals(table["text"].chunk(0))


def test_csv_becomes_columns_of_what_it_stands_for(mixed_client):
    texts = ("False", "0", "true", "True", "TRUE", "1", " true ")
    rows = [f"40,4.5,{it},False,,female,007\n" for it in texts]
    body = ",".join([*INSTANCE, "id"]) + "\n" + "".join(rows)

    answer = read(post(mixed_client, body.encode(), CSV, PARQUET).content, PARQUET)

    assert answer["member"].to_pylist() == [False] * 2 + [True] * 5
    row = answer.to_pylist()[2]
    assert [row[name] for name in INSTANCE] == [40.0, 4.5, True, False, None, "female"]
    assert row["id"] == "007"
    no, _, yes, *_ = found = answer["probability_yes"].to_pylist()
    assert found == pytest.approx([no] * 2 + [yes] * 5, abs=1e-12)
    assert yes - no > 0.1


@pytest.mark.parametrize("wanted", [CSV, ARROW])
def test_text_comes_back_letter_by_letter(client, wanted):
    row = ["06000", "202.10", "8.0", " 1e0", ".20", "NA"]
    body = ",".join(["zip", *NAMES, "note"]) + "\n" + ",".join(row) + "\n"

    [answer] = read(post(client, body.encode(), CSV, wanted).content, wanted).to_pylist()

    assert list(answer.values())[:6] == row


def test_csv_as_spreadsheets_write_it_is_read(client):
    body = '\ufeff"id",sepal_length,sepal_width,petal_length,petal_width\r\n'
    body += '"a\r\nb", 5.1 ,"3.5",1.4e0,.2\r\n\r\n'

    [answer] = read(post(client, body.encode()).content, CSV).to_pylist()

    found = [answer[name] for name in ("id", "sepal_length", "prediction_class")]
    assert found == ["a\r\nb", " 5.1 ", "setosa"]


@pytest.mark.parametrize("media_type", [PARQUET, ARROW])
def test_the_schema_says_which_model_answered_and_keeps_what_it_said(client, media_type):
    table = draw(3).replace_schema_metadata({"mine": "kept"})

    metadata = predict(client, table, media_type).schema.metadata

    assert metadata | {b"model_version": VERSION.encode(), b"mine": b"kept"} == metadata


def test_a_version_can_be_asked(live_client, publish):
    publish(OLDER, estimator=fit(C=0.01))
    url = f"/predict/batch?version={OLDER}"

    assert live_client.post(url, json={"instances": [SETOSA]}).headers["x-model-version"] == OLDER
    assert live_client.post("/predict/batch?version=1", json={}).status_code == 404


@pytest.mark.parametrize("wanted", FORMATS)
def test_a_row_without_an_answer_has_nulls(client, wanted):
    rows = draw(3).to_pylist()
    rows[1] |= dict.fromkeys(NAMES, 1e308)

    response = post(client, write(pa.Table.from_pylist(rows), ARROW), ARROW, wanted)

    answer = read(response.content, wanted)
    assert [value is None for value in answer["prediction_class"].to_pylist()] == [0, 1, 0]
    assert answer["probability_setosa"].null_count == 1


def test_a_model_without_probabilities_adds_its_class_alone(tmp_path, start_live):
    drop(tmp_path, LinearSVC().fit([[0.0] * 4, [5.0] * 4] * 10, ["a", "b"] * 10))
    client = start_live()
    for wanted in FORMATS:
        response = post(client, write(draw(2), CSV), CSV, wanted)

        assert read(response.content, wanted).column_names[-1] == "prediction_class"
        assert (b'"probabilities":null' in response.content) == (wanted == JSON)


@pytest.mark.parametrize("media_type", TABLES)
def test_bad_cells_are_named_by_row_and_column_and_nothing_is_scored(mixed_client, media_type):
    rows = [dict(INSTANCE) for _ in range(18_000)]
    rows[0]["mass"] = None
    rows[17_999] |= {"sex": None, "mass": float("inf")}
    rows[17_000]["age"] = float("-inf")

    response = post(mixed_client, write(pa.Table.from_pylist(rows), media_type), media_type)

    assert faults(response) == [
        (1, "mass", "mass is missing."),
        (17_001, "age", "age must be a finite number."),
        (18_000, "mass", "mass must be a finite number."),
        (18_000, "sex", "sex is missing."),
    ]
    assert "Row 17001: age must be a finite number." in response.json()["detail"]


def test_the_first_faults_are_named_and_the_others_counted(client):
    response = post(client, IRIS + b"1,2,3,4\n" + b"x,2,inf,NA\n" * 10_000)

    named = [(row, column) for row, column, _ in faults(response)]
    assert named[:3] == [(2, "sepal_length"), (2, "petal_length"), (2, "petal_width")]
    assert len(faults(response)) == 20
    assert response.json()["detail"].endswith("And 29980 more.")


def test_what_is_no_number_in_csv_is_named(client):
    cells = {
        "must be a number.": ['"5,1"', "5.1cm", "0x5", "true", "1_0"],
        "must be a finite number.": ["-inf", "1e999", "9" * 400],
        "is missing.": ["", "?", " NaN", "   "],
    }
    rows = [f"{cell},2,3,4\n" for each in cells.values() for cell in each]

    found = faults(post(client, IRIS + "".join(rows).encode()))

    said = [f"sepal_length {detail}" for detail, each in cells.items() for _ in each]
    assert found == [(row, "sepal_length", it) for row, it in enumerate(said, start=1)]


def test_a_word_that_the_model_knows_is_a_value_in_csv_too():
    known = Category.model_construct(type="category", name="x", nullable=True, values=["None", "y"])
    chunk = pa.record_batch({"x": ["None", "NA", "y"]})
    table = Table(chunk.schema, lambda: iter([chunk]), is_text=True)

    description = Description.model_construct(features=[known], written=None)
    [[first], [second], [third]] = Columns(description, table).to_array(chunk)

    assert (first, third) == ("None", "y")
    assert np.isnan(second)


@pytest.mark.parametrize("kind", ["number", "boolean", "category"])
def test_the_manifest_says_which_words_are_missing(kind):
    cells = {"number": ["1", "-999", "2"], "boolean": ["1", "0", "true"], "category": list("abc")}
    words = [cells[kind][1], "unknown"]
    chunk = pa.record_batch({"x": [*cells[kind], "unknown"]})
    feature = {"number": Number, "boolean": Boolean, "category": Category}[kind].model_construct(
        type=kind, name="x", nullable=True, values=[]
    )
    description = Description.model_construct(features=[feature], written=Written(missing=words))
    table = Table(chunk.schema, lambda: iter([chunk]), is_text=True)

    columns = Columns(description, table)

    assert pa.array(columns.shape(chunk, Format.PARQUET)["x"]).is_null().to_pylist() == [
        False,
        True,
        False,
        True,
    ]
    assert columns.find_bad(chunk) == []


@pytest.mark.parametrize("words", [{"written": {"missing": ["", "unknown"]}}, {}])
def test_words_for_missing_are_those_of_the_manifest_or_the_usual_ones(publish, start_live, words):
    publish(**words)
    client = start_live()

    said = faults(post(client, IRIS + b"unknown,2,3,4\nNA,2,3,4\n,2,3,4\n"))

    missing = [row for row, _, detail in said if detail == "sepal_length is missing."]
    assert missing == ([1, 3] if words else [2, 3])
    assert client.get("/models/live").json()["manifest"].get("written") == words.get("written")


def test_what_is_no_boolean_in_csv_is_named(mixed_client):
    rows = [f"\n40,4.5,true,{cell},Dream,male" for cell in ("yes", "2", "t", "1.0")]

    found = faults(post(mixed_client, (",".join(INSTANCE) + "".join(rows)).encode()))

    assert found == [(row, "tagged", "tagged must be true or false.") for row in (1, 2, 3, 4)]


@pytest.mark.parametrize("media_type", [PARQUET, ARROW])
def test_columns_of_another_type_are_named(mixed_client, media_type):
    row = INSTANCE | {"age": date(2026, 1, 1), "mass": True, "tagged": 1, "island": False}

    found = faults(post(mixed_client, write(pa.Table.from_pylist([row]), media_type), media_type))

    assert [column for _, column, _ in found] == ["age", "mass", "tagged", "island"]
    assert found[0][2] == "age must be a number. Its column is of type date32[day]."


@pytest.mark.parametrize("media_type", FORMATS)
def test_missing_columns_and_missing_rows_are_named(client, media_type):
    tables = draw(3).drop_columns(["sepal_width", "petal_width"]), draw(0)

    columns, rows = (faults(post(client, write(it, media_type), media_type)) for it in tables)

    assert [column for _, column, _ in columns] == ["sepal_width", "petal_width"]
    assert rows == [(None, None, "The table has no rows. Send at least one.")]


@pytest.mark.parametrize("media_type", TABLES)
def test_a_column_that_may_be_empty_has_to_be_there_and_none_twice(mixed_client, media_type):
    table = pa.Table.from_pylist([INSTANCE])
    tables = table.rename_columns({"age": "Age"}), table.append_column("sex", pa.array(["male"]))

    missing, twice = (
        faults(post(mixed_client, write(it, media_type), media_type)) for it in tables
    )

    [(_, column, detail)] = missing
    assert column == "age"
    assert detail.startswith("There is no column age. The columns are Age, mass")
    assert [column for _, column, _ in twice] == ["sex"]


@pytest.mark.parametrize("sent", TABLES)
@pytest.mark.parametrize("wanted", TABLES)
def test_columns_named_like_the_answers_stay_and_the_answers_are_renamed(client, sent, wanted):
    table = draw(3).append_column("prediction_class", [["a", "b", None]])
    renamed = [f"model_{name}" for name in ANSWER]

    response = post(client, write(table, sent), sent, wanted)

    answer = read(response.content, wanted)
    assert json.loads(response.headers["x-answer-columns"]) == renamed
    assert answer.column_names == [*table.column_names, *renamed]
    assert answer["prediction_class"].to_pylist() == ["a", "b", None]
    assert {*answer[renamed[0]].to_pylist()} < {*CLASSES}


def test_answers_are_renamed_until_no_column_has_one_of_their_names(client):
    taken = ["probability_setosa", "model_prediction_class"]
    table = draw(2).append_column(taken[0], [[1, 2]]).append_column(taken[1], [[3, 4]])

    answer = predict(client, table)

    assert answer.column_names == [*NAMES, *taken, *(f"model_model_{name}" for name in ANSWER)]


@pytest.mark.parametrize("media_type", TABLES)
def test_features_may_be_called_as_the_answers_are(publish, start_live, media_type):
    names = [*ANSWER[:2], "model_version", "model_prediction_class"]
    instance = dict(zip(names, SETOSA.values(), strict=True))
    publish(instance=instance, features=[number(name) for name in names])
    table = draw(3).rename_columns(names)

    answer = predict(start_live(), table, media_type)

    assert answer.column_names == [*names, *(f"model_model_{name}" for name in ANSWER)]
    assert answer.column(4).to_pylist() == fit().predict(np.column_stack(table.columns)).tolist()


def test_an_answer_in_json_keeps_its_names(client):
    scored = predict(client, draw(3))

    response = post(client, write(scored, ARROW), ARROW, JSON)

    assert read(response.content, JSON).column_names == ANSWER
    assert "x-answer-columns" not in response.headers


def test_formats_that_are_not_known_and_columns_that_csv_cannot_hold_are_named(client):
    table = draw(2).append_column("raw", pa.array([b"\xff", b"\0"]))

    [(_, column, detail)] = faults(post(client, write(table, ARROW), ARROW, CSV))

    assert column == "raw"
    assert "accept another type" in detail
    assert post(client, b"x", "text/plain").status_code == 415
    refused = post(client, IRIS, CSV, "text/html")
    assert refused.status_code == 406
    assert "text/csv" in refused.json()["detail"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1.0]]),
        pa.array([{"a": 1}]),
        pa.array([[("k", 1)]], pa.map_("string", "int8")),
        pa.RunEndEncodedArray.from_arrays(pa.array([1], pa.int32()), pa.array([1.0])),
        pa.array([[1.0]], pa.list_view(pa.float64())),
        pa.array([[1.0, 2.0]], pa.list_(pa.float64(), 2)),
    ],
    ids=lambda it: str(it.type),
)
def test_columns_of_columns_are_refused_by_name(client, column):
    [(_, name, detail)] = faults(post(client, write(pa.table({"deep": column}), ARROW), ARROW))

    assert name == "deep"
    assert detail.endswith("drop it.")


def test_there_are_only_so_many_columns_to_return(client):
    response = post(client, ",".join(map(str, range(1005))).encode() + b"\n")

    assert "More than 1000 columns beside the features" in faults(response)[0][2]


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("identity", bytes)])
def test_a_body_above_the_limit_answers_413_compressed_or_not(start_live, encoding, compress):
    client = start_live(max_body_bytes=10_000)
    encoded = {"Content-Encoding": encoding}

    assert post(client, compress(IRIS + b"1,2,3,4\n" * 10_000), **encoded).status_code == 413
    assert post(client, compress(IRIS + b"1,2,3,4\n"), **encoded).status_code == 200


def test_more_rows_than_are_taken_answer_413(start_live):
    client = start_live(max_batch_rows=1000)
    for media_type in FORMATS:
        assert post(client, write(draw(1000), media_type), media_type).status_code == 200
        response = post(client, write(draw(1001), media_type), media_type)

        assert response.status_code == 413
        assert "More than 1000 rows are not taken." in response.json()["detail"]


def test_the_api_describes_tables_of_the_live_model(client):
    described = client.get("/openapi.json").json()["paths"]["/predict/batch"]["post"]

    content = described["requestBody"]["content"]
    assert set(content) == set(Format)
    assert set(described["responses"]["200"]["content"]) == set(FORMATS)
    for shape in content[JSON]["schema"]["oneOf"]:
        [example] = shape["examples"]
        assert client.post("/predict/batch", json=example).status_code == 200
    assert json.dumps(content).count("Training range 0.1 to 7.9 cm") == 8


def test_an_instance_of_very_many_keys_is_refused_in_one_sentence(client):
    instances = [SETOSA, {f"x{number}": 0 for number in range(105)}]

    response = client.post("/predict/batch", json={"instances": instances})

    assert response.status_code == 400
    assert "Instance 2 has 105 keys. Send 104 at most." in response.text
