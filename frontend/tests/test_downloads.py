import io

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

import downloads
import texts
import uploads
from uploads import Unreadable, Upload

TABLE = pa.table({"age": [1.5, 2.5, None], "sex": ["male", None, "fe,male"]})


def upload(name, content):
    return Upload(name, memoryview(content))


def test_the_first_rows_of_a_csv_stand_as_in_the_file():
    preview = uploads.look_into(upload("a.csv", b"id,name\n007,NA\n1e3,\n"))
    empty = uploads.look_into(upload("a.csv", b"id,name\n"))

    assert (empty.head.column_names, empty.head.num_rows) == (["id", "name"], 0)
    assert preview.head.to_pylist() == [{"id": "007", "name": "NA"}, {"id": "1e3", "name": ""}]


def test_the_first_rows_of_a_parquet_have_their_types():
    preview = uploads.look_into(upload("a.PARQUET", downloads.write_table(TABLE, "parquet")))

    assert preview.head.to_pylist() == TABLE.to_pylist()
    assert preview.rows == 3


@pytest.mark.parametrize("kind", uploads.MEDIA_TYPES)
def test_of_a_large_table_a_few_rows_are_read_and_all_are_counted(kind):
    table = pa.table({"x": range(200_000), "y": ["word"] * 200_000})

    preview = uploads.look_into(upload(f"a.{kind}", downloads.write_table(table, kind)))

    assert preview.head.num_rows == 10
    assert preview.rows == 200_000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b""),
        ("a.csv", b"\xff\xfe\x00bad\n\xff\n"),
        ("a.csv", b"a,b\n1\n"),
        ("a.parquet", b"PAR1 and nothing else"),
        ("a.parquet", downloads.write_table(TABLE, "parquet")[:-20]),
        ("a.parquet", b"age,sex\n1,2\n"),
    ],
)
def test_what_cannot_be_read_is_said_to_be(name, content):
    with pytest.raises(Unreadable):
        uploads.look_into(upload(name, content))


@pytest.mark.parametrize(
    ("content", "said", "missing"),
    [
        (b"age;sex\n1;2\n", texts.SEMICOLONS, ["age", "sex"]),
        (b"age\tsex\n1\t2\n", texts.TABS, ["age", "sex"]),
        (b"a;b,age\n1,2\n", None, ["sex"]),
        (b"sex,age\n", None, []),
    ],
)
def test_another_separator_and_missing_columns_are_recognised(content, said, missing):
    preview = uploads.look_into(upload("a.csv", content))

    assert preview.find_separator() == said
    assert preview.find_missing(["age", "sex"]) == missing


def test_a_template_has_every_column_and_the_examples():
    content = downloads.write_template(["age", "sex"], [{"age": 1.5, "sex": "male"}, {"age": None}])

    table = pa_csv.read_csv(io.BytesIO(content))
    assert table.to_pylist() == [{"age": 1.5, "sex": "male"}, {"age": None, "sex": ""}]
    assert downloads.write_template(["age", "sex"], []) == b'"age","sex"\n'


def test_what_is_downloaded_is_what_was_predicted():
    as_csv = pa_csv.read_csv(io.BytesIO(downloads.write_table(TABLE, "csv")))
    as_parquet = pq.read_table(io.BytesIO(downloads.write_table(TABLE, "parquet")))

    assert as_csv["age"].to_pylist() == [1.5, 2.5, None]
    assert as_parquet.equals(TABLE)
