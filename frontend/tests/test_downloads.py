import csv
import io

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from mixed import boolean, category, number

import downloads

TABLE = pa.table({"age": [1.5, 2.5, None], "sex": ["male", None, "fe,male"]})
AGE, SEX, MEMBER = number("age"), category("sex", ["male"]), boolean("member")


def cells(content):
    """Lines of a CSV file with a byte order mark, which csv alone would not take away."""
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))


def test_what_is_downloaded_is_what_was_predicted():
    as_csv = pa_csv.read_csv(io.BytesIO(downloads.write_csv(TABLE)))
    as_parquet = pq.read_table(io.BytesIO(downloads.write_parquet(TABLE)))

    assert as_csv["age"].to_pylist() == [1.5, 2.5, None]
    assert as_parquet.equals(TABLE)


def test_a_csv_for_programs_holds_each_cell_as_it_is():
    texts = ["06000", "202.10", "8.0", "=1+1", " x ", "-5"]

    content = downloads.write_csv(pa.table({"=id": texts}))

    lines = list(csv.reader(io.StringIO(content.decode())))
    assert lines == [["=id"], *([text] for text in texts)]


def test_a_csv_for_spreadsheets_has_no_formula_in_names_or_cells():
    table = pa.table(
        {
            "=a": pa.array(["=1+1", "-5", None]).dictionary_encode(),
            "n": [-1.5, 2.0, None],
            "l": [["=1"], [], None],
            "b": [b"=x", b"\xff", None],
        }
    )

    names, *rows = cells(downloads.write_guarded_csv(table))

    assert names == ["'=a", "n", "l", "b"]
    assert rows[0] == ["'=1+1", "-1.5", "['=1']", "b'=x'"]
    assert rows[1] == ["-5", "2", "[]", r"b'\xff'"]
    assert rows[2] == ["", "", "", ""]


def test_rows_of_several_models_are_guarded_and_may_mix_kinds():
    rows = [{"class": "@a", "size": -1.5}, {"class": "b", "size": "=large"}, {"more": True}]

    names, *lines = cells(downloads.write_rows(rows))

    assert names == ["class", "size", "more"]
    assert lines == [["'@a", "-1.5", ""], ["b", "'=large", ""], ["", "", "true"]]


def test_a_template_has_every_column_and_the_examples():
    examples = [{"age": 1.5, "sex": "male", "member": True}, {"age": None}]

    content = downloads.write_template([AGE, SEX, MEMBER], examples)

    assert cells(content) == [["age", "sex", "member"], ["1.5", "male", "true"], ["", "", ""]]
    assert cells(downloads.write_template([AGE, SEX], [])) == [["age", "sex"]]


def test_a_template_leaves_out_examples_with_a_formula():
    examples = [{"age": -1.0, "sex": "=1+1"}, {"age": -2.0, "sex": "-"}]

    assert cells(downloads.write_template([AGE, SEX], examples))[1:] == [["-2", "-"]]


@pytest.mark.parametrize(
    ("written", "value", "separator", "cell"),
    [
        ({"decimal": ","}, 1.25, ";", "1,25"),
        ({"decimal": ",", "thousands": "."}, 1.234, ";", "1,234"),
        ({"decimal": ",", "affix": "€"}, -1e-7, ";", "-1e-7"),
        ({"affix": "kg"}, 1.25, ",", "1.25"),
        ({"thousands": ","}, 1234.5, ",", "1234.5"),
    ],
)
def test_a_template_writes_numbers_as_the_training_table_does(written, value, separator, cell):
    content = downloads.write_template([AGE | {"written": written}, SEX], [{"age": value}])

    lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig")), delimiter=separator))
    assert lines == [["age", "sex"], [cell, ""]]
