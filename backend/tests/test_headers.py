import pytest

from errors import InvalidTable, MalformedTable
from schemas import Number
from worker.headers import MAX_HEADER_BYTES, describe, name_columns, read_header


@pytest.mark.parametrize(
    ("text", "delimiter", "names"),
    [
        ("a,b\n1,2\n", ",", ["a", "b"]),
        ("a;b\n1,5;2\n", ";", ["a", "b"]),
        ("a\tb\r1\t2\r", "\t", ["a", "b"]),
        ("a|b\r\n1|2\r\n", "|", ["a", "b"]),
        ("sep=;\r\nx;y,z\r\n1;2\r\n", ";", ["x", "y,z"]),
        ('"sep=|"\na|b,c,d\n', "|", ["a", "b,c,d"]),
        ("sep=;;;\na;b\n", ";", ["a", "b"]),
        (",,\na,b\n", ",", ["a", "b"]),
        ("SEP=\t\n\na\tb\n", "\t", ["a", "b"]),
        (" \n\t\n\r\na, b \n1,2\n", ",", ["a", "b"]),
        ('a, "b"\n', ",", ["a", "b"]),
        ('"a\n,",b\n1,2\n', ",", ["a\n,", "b"]),
        ("a\n1\n", ",", ["a"]),
        ("a,b", ",", ["a", "b"]),
    ],
)  # fmt: skip
def test_a_header_is_read_up_to_its_rows(text, delimiter, names):
    found = read_header(text.encode(), ["a", "b"])

    assert (found.delimiter, found.names) == (delimiter, names)
    rows = text.encode()[found.size :].decode().split()
    assert not rows or rows[0][0] in "12"


def test_the_features_decide_what_separates_names():
    text = b"price, net, a, b;size, c;d\n1,2;3;4\n"

    assert read_header(text, ["size, c"]).names == ["price, net, a, b", "size, c", "d"]
    assert read_header(text, ["net"]).delimiter == ","


def test_the_rows_decide_where_no_feature_is_found():
    assert read_header(b"price, net, gross;size\n1;3\n2;4\n", []).delimiter == ";"
    assert read_header(b"price, net;size\n1,5;3,5\n2,5;4,5\n", []).delimiter == ";"


WRITTEN = {"decimal": ",", "thousands": "\u202f", "affix": "€"}


@pytest.mark.parametrize(
    ("text", "written", "said"),
    [
        ("a,b\n1,2\n", None, "Read as UTF-8, separated by commas."),
        ("a;b\n1.5;2\n", None, "Read as UTF-8, separated by semicolons."),
        ("a;b\n1;2\n2,5;3\n", None, "Read as UTF-8, separated by semicolons, decimal commas."),
        ("a\tb\n1\t2\n", WRITTEN, "by tabs, decimal commas, thousands in blanks."),
        ("a|b\n1|2\n", {"thousands": ","}, "by bars, thousands in commas."),
    ],
)
def test_it_is_said_how_text_is_read(text, written, said):
    header = read_header(text.encode(), ["a"])
    feature = Number.model_validate({"name": "a", "written": written})

    assert describe("UTF-8", header, [feature]).endswith(said)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["", "x"], ["row", "x"]),
        (["", "row", "row_1"], ["row_2", "row", "row_1"]),
        (["\u00a0a\u202f", " b c "], ["a", "b c"]),
    ],
)
def test_a_first_column_without_a_name_numbers_the_rows(names, found):
    assert name_columns(names) == found


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("", MalformedTable, "The CSV is empty"),
        ("\n \n", MalformedTable, "The CSV is empty"),
        ("sep=;\n", MalformedTable, "The CSV is empty"),
        ("sep=,\n,,\n", MalformedTable, "has no header"),
        ("a,b,,\n1,2,,\n", InvalidTable, r"^Column 3 has no name\. Give it one, or take"),
        ("a\0b\n", MalformedTable, "NUL characters"),
        ("a," * MAX_HEADER_BYTES, MalformedTable, "has not ended 1,048,576 bytes later"),
        ('"a' + "b" * 200_000, MalformedTable, "a quote in it is never closed"),
    ],
    ids=["nothing", "blank", "hint", "no names", "trailing", "nul", "endless", "quote"],
)
def test_a_header_that_is_none_is_refused(text, error, said):
    with pytest.raises(error, match=said):
        read_header(text.encode()[:MAX_HEADER_BYTES], ["a"])
