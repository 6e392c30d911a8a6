import gzip

import pandas as pd
import pytest
from servers import running_app
from werkzeug import Response

import metrics
from errors import UnusableTable
from reading.delimited import BLOCK_BYTES, BLOCK_ROWS
from reading.fetching import fetch
from reading.formats import parse_table
from table.dataset import read_dataset


def read_table(source, **options):
    with fetch(source) as file:
        return parse_table(file.read(), source, **options)


PLAIN = "größe,art\n1.5,Löwe\n2.5,Bär\n"
FRAME = pd.DataFrame({"größe": ["1.5", "2.5"], "art": ["Löwe", "Bär"]})


@pytest.fixture
def write(tmp_path):
    def to_file(content, name="table.csv"):
        raw = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(raw)
        return str(tmp_path / name)

    return to_file


def read(source):
    return read_table(source).frame


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(write, delimiter):
    pd.testing.assert_frame_equal(read(write(PLAIN.replace(",", delimiter))), FRAME)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16"])
def test_the_encoding_is_found(write, encoding):
    pd.testing.assert_frame_equal(read(write(PLAIN.encode(encoding))), FRAME)


def test_quoted_fields_hold_delimiters_quotes_and_lines(write):
    frame = read(write('"a, b",c\n"x\ny","say ""no"""\n1,2\n'))

    assert list(frame.columns) == ["a, b", "c"]
    assert frame.iloc[0].tolist() == ["x\ny", 'say "no"']


def test_cells_are_texts_trimmed_and_the_empty_ones_missing(write):
    frame = read(write('a,b,c\n 01 ,"\u00a0x ", \n1.50,"",n/a\n'))

    assert frame["a"].tolist() == ["01", "1.50"]
    assert frame["b"].fillna("-").tolist() == ["x", "-"]
    assert frame["c"].fillna("-").tolist() == ["-", "n/a"]
    assert set(map(str, frame.dtypes)) == {"str"}


@pytest.mark.parametrize(
    "lines", ["1,2\n3\n", '1, "2"\n3\n', ' "1",2\n3\n', '"1" ,2\n3,\n', "1,2\n\n   \n3\n"]
)
def test_a_short_line_is_filled_with_missing_cells(write, lines):
    frame = read(write(f"a,b\n{lines}"))

    assert frame["a"].tolist() == ["1", "3"]
    assert frame["b"].fillna("-").tolist() == ["2", "-"]


def test_a_quoted_line_end_at_the_edge_of_a_block_is_whole(write):
    note = "x" * (BLOCK_BYTES - len('1,"') - 1) + "\r\n"

    assert len(read(write(f'a,b\n1,"{note}y"\n'))["b"][0]) == len(note) + 1


@pytest.mark.parametrize("length", [10, 3 * BLOCK_BYTES])
def test_a_cell_may_be_of_any_length(write, length):
    frame = read(write(f'a,b\n1,"{"é," * length}"\n2,z\n'))

    assert frame["b"].str.len().tolist() == [2 * length, 1]


def test_a_long_table_is_read_in_order(write):
    rows = 3 * BLOCK_ROWS + 1
    frame = read(write("a,b\n" + "".join(f'{row}, "x"\n' for row in range(rows))))

    assert frame["a"].tolist() == list(map(str, range(rows)))


def test_gzip_and_parquet_are_known_by_what_they_hold(write, tmp_path):
    FRAME.to_parquet(tmp_path / "strange.csv")

    pd.testing.assert_frame_equal(read(write(gzip.compress(PLAIN.encode()), "table")), FRAME)
    pd.testing.assert_frame_equal(read(str(tmp_path / "strange.csv")), FRAME)


def test_a_table_at_a_url_is_read():
    def answer(request):
        return Response(PLAIN) if request.path == "/table.csv" else Response(status=404)

    with running_app(answer) as url:
        pd.testing.assert_frame_equal(read(f"{url}/table.csv"), FRAME)
        with pytest.raises(UnusableTable, match=r"other.csv answers 404"):
            read(f"{url}/other.csv")


def test_the_hash_is_that_of_the_file(write):
    one, other = read_table(write("a,b\n1,2\n")), read_table(write("a,b\n1,3\n"))

    assert len(one.sha256) == 64
    assert one.sha256 != other.sha256


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\ufeff\n", "is empty"),
        ("a,b\n", "holds no rows"),
        ("1,2\n3,4\n", "first line holds numbers"),
        ("a,b,a\n1,2,3\n", "Two columns are named a. Rename one"),
        ("a,,b\n1,2,3\n", "Column 2 has no name"),
        ("a,b,\n1,2,\n", "Column 3 has no name.*take the separator from the end"),
        ("a,b\n1,2\n1,2,3\n", "Row 2 has 3 fields, the header has 2. .* quote .* a comma"),
        ("a,b\n" + "1,2\n" * 9 + "1,2,3\n", r"Row 10 has .* 2\. Quote the field .* a comma"),
        ("Sales 2024\n\na,b\n1,2\n", "Row 1 has 2 .* Delete what stands above the header"),
        ("Sales 2024,,\na,b,c\n1,2,3\n", "holds Sales 2024 alone.* Delete the lines above"),
        ('a,b\n1,"2\n3,4\n', "A quote is opened in row 1 and never closed"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "neither CSV, gzip of CSV, Parquet nor .xlsx"),
        (gzip.compress(b"a,b\n1,2\n" * 999, mtime=0)[:40], "gzip file is damaged"),
        (b"PAR1 and no more", "Parquet file is damaged"),
    ],
)
def test_what_is_no_table_is_said(write, content, message):
    with pytest.raises(UnusableTable, match=message):
        read(write(content))


def test_no_secret_of_an_address_is_said():
    with pytest.raises(UnusableTable) as refusal:
        read("http://ann:secret@127.0.0.1:9/t.csv?token=secret")

    assert str(refusal.value).startswith("http://127.0.0.1:9/t.csv does not answer")


def test_a_scheme_that_needs_more_is_told_what():
    with pytest.raises(UnusableTable, match="s3:// needs fsspec and its package for s3"):
        read("s3://bucket/table.csv")


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (",a,b", ["row", "a", "b"]),
        (" ,row,b", ["row_1", "row", "b"]),
        ('"","row_1","row"', ["row_2", "row_1", "row"]),
    ],
)
def test_row_numbers_without_a_name_get_one_that_is_free(write, header, names):
    assert list(read(write(f"{header}\n0,1,2\n1,2,3\n")).columns) == names


@pytest.mark.parametrize("separator", [", ", " ,", "  ,   ", "\u00a0,\u2003"])
def test_blanks_around_cells_and_names_never_count(write, separator):
    plain = "age,job,class\n43,Gov,Yes\n24,Not yet,No\n31,,Yes\n"
    blanks = plain.replace(",", separator)

    pd.testing.assert_frame_equal(read(write(blanks)), read(write(plain)))


def test_options_of_the_command_reach_the_reader(write):
    raw = ("x,y\n" + "1.5,да\n2.5,нет\n3.5,да\n" * 20).encode("cp1251")
    options = ["--data", write(raw), "--target", "y", "--encoding", "cp1251"]
    arguments = metrics.parse_arguments(options)

    dataset = read_dataset(arguments, fetch(arguments.data))

    assert dataset.classes == ["да", "нет"]
    assert dataset.encoding == "cp1251"
    assert dataset.remarks[0] == "Read as cp1251, separated by commas."
    arguments.sheet = "Sales"
    with pytest.raises(UnusableTable, match=r"no \.xlsx workbook. Leave --sheet out"):
        read_dataset(arguments, fetch(arguments.data))
