"""What is done with the rows of one partition."""

import csv
import hashlib
import io
import json
from decimal import Decimal

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import find_candidate
from pyarrow import csv as pa_csv

from evaluation import fit, search
from features import describe_features
from inputs import Feature, Inputs, UnusableColumns
from parts import NO_ANSWER, Job, NotReached, load_model, score
from sources import open_source
from writers import UnwritableColumn, require_writable

ROWS = {
    "size": [1.5, None, 0.2, 2.5],
    "whole": [1, 2, 3, 4],
    "member": [True, False, None, True],
    "island": ["Biscoe", "Dream", "Atlantis", None],
    "note": ["a", 'says "b"', "c,d", "two\nlines"],
}


@pytest.fixture(scope="module")
def model(mixed):
    """Of numbers, booleans and categories, all but `whole` nullable."""
    candidate = find_candidate("LogisticRegression")
    return fit(candidate, search(candidate, mixed, seed=0), mixed)


@pytest.fixture
def score_file(model, mixed, tmp_path):
    """The one part that a file makes, as a table, with its bad rows and its record."""
    pickled = io.BytesIO()
    joblib.dump(model, pickled)
    (tmp_path / "model.pkl").write_bytes(pickled.getvalue())
    sha256 = hashlib.sha256(pickled.getvalue()).hexdigest()
    features = [Feature.from_manifest(it) for it in describe_features(mixed)]
    (tmp_path / "out").mkdir()

    def score_path(path, kind="parquet"):
        source = open_source(path, features)
        classes = list(model.classes_)
        out = tmp_path / "out"
        job = Job(source, out, kind, tmp_path / "model.pkl", sha256, "v1", features, classes)
        [partition] = source.list_partitions()
        record = score(job, partition)
        part = out / f"part-000000.{kind}"
        lines = pa_csv.ParseOptions(newlines_in_values=True)
        table = (
            pq.read_table(part) if kind == "parquet" else pa_csv.read_csv(part, parse_options=lines)
        )
        with (out / ".part-000000.bad.csv").open(newline="") as file:
            return table, list(csv.reader(file)), record

    return score_path


@pytest.fixture
def write(tmp_path):
    def write_table(kind="parquet", **columns):
        table = pa.table({**ROWS, **columns})
        path = tmp_path / f"in.{kind}"
        pq.write_table(table, path) if kind == "parquet" else pa_csv.write_csv(table, path)
        return path

    return write_table


def expected(model):
    frame = pd.DataFrame(ROWS).drop(columns="note")
    frame["member"] = frame["member"].astype("boolean").astype("float64")
    return model.predict_proba(frame)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("wanted", ["parquet", "csv"])
def test_rows_come_back_with_what_the_model_says(score_file, write, model, kind, wanted):
    table, bad, record = score_file(write(kind), wanted)

    probabilities = np.column_stack([table[f"probability_{it}"].to_numpy() for it in "abc"])
    assert probabilities == pytest.approx(expected(model), abs=1e-12)
    assert table["prediction"].to_pylist() == expected(model).argmax(axis=1).tolist()
    assert table["prediction_class"].to_pylist() == [
        "abc"[it] for it in expected(model).argmax(axis=1)
    ]
    assert set(table["model_version"].to_pylist()) == {"v1"}
    assert table["size"].to_pylist() == ROWS["size"]
    assert table["note"].to_pylist() == ROWS["note"]
    assert (bad, record.rows, record.bad) == ([], 4, 0)


def test_columns_of_parquet_keep_their_types(score_file, write):
    path = write(whole=pa.array([1, 2, 3, 4], pa.int16()), island=pa.array(ROWS["island"]))

    table, _, _ = score_file(path)

    assert table.schema.field("whole").type == pa.int16()


@pytest.mark.parametrize(
    "whole",
    [
        pa.array([1.0, 2.0, 3.0, 4.0], pa.float32()),
        pa.array([Decimal("1.00"), Decimal(2), Decimal(3), Decimal(4)]),
        pa.array([1, 2, 3, 4]).dictionary_encode(),
    ],
    ids=lambda it: str(it.type),
)
def test_whatever_holds_numbers_is_taken(score_file, write, model, whole):
    table, _, _ = score_file(write(whole=whole))

    assert table["probability_a"].to_numpy() == pytest.approx(expected(model)[:, 0], abs=1e-12)


def test_bad_rows_are_listed_with_reasons_and_the_others_scored(score_file, tmp_path, model):
    path = tmp_path / "in.csv"
    path.write_text(
        "size,whole,member,island\n"
        "1.5,1,true,Biscoe\n"
        "big,,true,Biscoe\n"
        "1,2,3\n"
        "inf,1,maybe,Dream\n"
        " 2.5 ,4,1,\n"
    )

    table, bad, record = score_file(path)

    assert bad == [
        ["2", "size", "size must be a number."],
        ["2", "whole", "whole is missing."],
        ["3", "", "It has 3 cells, and the header has 4."],
        ["4", "size", "size must be a finite number."],
        ["4", "member", "member must be true or false."],
    ]
    assert (record.rows, record.bad) == (5, 3)
    found = table["probability_a"].to_numpy()
    assert found == pytest.approx(expected(model)[[0, 3], 0], abs=1e-12)


def test_semicolons_let_commas_part_decimals(score_file, tmp_path, model):
    path = tmp_path / "in.csv"
    path.write_text("size;whole;member;island\n1,5;1;true;Biscoe\n")

    table, bad, _ = score_file(path)

    assert bad == []
    assert table["probability_a"].to_pylist() == pytest.approx(expected(model)[0, :1], abs=1e-12)


def test_rows_without_an_answer_are_bad(score_file, write):
    table, bad, record = score_file(write(size=[1e308, 1.0, -1e308, 2.0]))

    assert bad == [["1", "", NO_ANSWER], ["3", "", NO_ANSWER]]
    assert table["size"].to_pylist() == [1.0, 2.0]
    assert (record.rows, record.bad) == (4, 2)


def test_a_part_of_bad_rows_alone_is_an_empty_table(score_file, write):
    table, bad, record = score_file(write(whole=pa.nulls(4, pa.int64())))

    assert table.num_rows == 0
    assert "prediction_class" in table.column_names
    assert len(bad) == record.bad == 4


def test_columns_that_are_not_there_are_named(score_file, write):
    path = write()
    pq.write_table(pq.read_table(path).drop_columns(["size", "island"]), path)

    with pytest.raises(UnusableColumns, match="needs the columns size, island, which are not"):
        score_file(path)


def test_a_column_of_another_kind_is_named(score_file, write):
    with pytest.raises(UnusableColumns, match=r"size must be a number\. Its column is of type str"):
        score_file(write(size=["a", "b", "c", "d"]))


def test_columns_of_the_answer_may_not_be_there_before():
    schema = pa.schema([pa.field("probability_a", pa.float64())])

    with pytest.raises(UnwritableColumn, match="probability_a is a column of the answer"):
        require_writable(schema, ["a", "b"], "parquet")


def test_lists_have_no_place_in_csv_and_one_in_parquet(score_file, write):
    path = write(note=[[1], [2, 3], None, []])

    with pytest.raises(UnwritableColumn, match=r"note is of type list.*let OUT be Parquet"):
        require_writable(pq.read_schema(path), ["a", "b"], "csv")
    table, _, _ = score_file(path)
    assert table["note"].to_pylist() == [[1], [2, 3], None, []]


def test_nothing_has_a_name_before_it_is_whole(score_file, write, monkeypatch, tmp_path):
    def fail(*_):
        raise OSError(28, "No space left on device")

    path = write()
    monkeypatch.setattr("parts.os.fsync", fail)

    with pytest.raises(OSError, match="No space left"):
        score_file(path)
    assert list((tmp_path / "out").iterdir()) == []


def test_another_model_than_was_verified_is_not_opened(score_file, write, tmp_path):
    path = write()
    score_file(path)
    (tmp_path / "model.pkl").write_bytes(b"\x80other")
    load_model.cache_clear()

    with pytest.raises(OSError, match="is not the model that was verified"):
        score_file(path)


def test_a_file_that_is_not_seen_is_said_with_the_machine(score_file, write, tmp_path):
    path = write()
    (tmp_path / "model.pkl").unlink()
    load_model.cache_clear()

    with pytest.raises(NotReached, match=r"finds no .*model.pkl. All that score must see it"):
        score_file(path)


def test_the_record_says_what_was_done(score_file, write, tmp_path):
    _, _, record = score_file(write())

    written = json.loads((tmp_path / "out/.part-000000.json").read_text())
    assert written == record._asdict()


def test_a_word_that_the_model_knows_is_a_value_in_csv_too():
    known = Feature("x", "category", True, ("None", "y"))
    chunk = pa.record_batch({"x": ["None", "NA", "y"]})

    [cells] = Inputs([known], chunk.schema, is_text=True).convert(chunk)

    assert cells.to_pylist() == ["None", None, "y"]
