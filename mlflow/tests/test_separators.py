import pytest

from errors import UnusableTable
from reading.formats import parse_table
from reading.origin import SEPARATORS


def read(text):
    return parse_table(text.encode(), "table.csv")


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize(
    ("header", "row", "names"),
    [
        ("a{0}b{0}c", "1{0}2{0}3", "a b c"),
        ('a{0}"b{0}c"{0}d', '1{0}"2{0}2"{0}3', "a b{0}c d"),
        ("a{0}b", "x{0}", "a b"),
        (" \n\n  a {0}\u00a0b", "1{0} 2", "a b"),
        ("{0}{0}\na{0}b", "1{0}2", "a b"),
    ],
)
def test_the_separator_is_found(separator, header, row, names):
    lines = [header, *[row] * 3]
    table = read("\r\n".join(lines).format(separator))

    assert table.origin.separator == separator
    assert table.frame.columns.tolist() == names.format(separator).split(" ")
    assert len(table.frame) == 3


@pytest.mark.parametrize(
    "text",
    [
        "Income, EUR;Age, years;Class\n0;0;a\n1;3;b\n",
        "Income, EUR;Age, years;Class\n0,5;0,25;a\n1,5;3,75;b\n",
        "Income, EUR, net;Age, years, exact\n0;a, b\n1;c\n",
        "a|b, or c, or d;e\n1;2\n3;4\n",
        'Income, EUR;"Age; years";Class\n"0";1;"a;b"\n',
    ],
)
def test_commas_inside_of_the_names_of_a_semicolon_file_are_theirs(text):
    table = read(text)

    assert table.origin.separator == ";"
    assert "," in table.frame.columns[0] + table.frame.columns[1]


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("name;of,x,y\n1,2,3\n4,5,6\n", ","),
        ("Name; Vorname,x,y\nMaier; Eva,2,3\nHuber; Max,5,6\n", ","),
        ("a|b\tc|d\n1\t2\n", "\t"),
        ("a,b,c\nx;y,2,3\nz;w;v,5,6\n", ","),
        ("a,b;c\n", ";"),
    ],
)
def test_the_separator_under_which_most_rows_fit_the_header_wins(text, separator):
    assert read(text + "9\n").origin.separator == separator


@pytest.mark.parametrize("hint", ["sep=;", "SEP=;\r", '"sep=;"', "sep=;;;", "\ufeff\n \nsep=;"])
def test_a_line_for_excel_decides_and_is_skipped(hint):
    table = read(f"{hint}\nx,1;y,2\n1,2;a\n3,4;b\n")

    assert table.frame.columns.tolist() == ["x,1", "y,2"]
    assert table.frame["x,1"].tolist() == ["1,2", "3,4"]


@pytest.mark.parametrize("separator", SEPARATORS)
def test_a_line_for_excel_names_any_separator(separator):
    table = read(f"sep={separator}\na{separator}b\n1{separator}2\n")

    assert table.origin.separator == separator
    assert table.frame.to_dict("records") == [{"a": "1", "b": "2"}]


def test_a_column_may_be_called_sep():
    assert read("sep,x\n1,2\n").frame.columns.tolist() == ["sep", "x"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_is_taken(end):
    frame = read(end.join(["", " ", "a,b", "1,2", "", '3,"4"', " ", "5"])).frame

    assert frame["a"].tolist() == ["1", "3", "5"]
    assert frame["b"].fillna("-").tolist() == ["2", "4", "-"]


@pytest.mark.parametrize("text", ['"a,b\n1,2\n', 'a,"b\n1,2\n' + "3,4\n" * 99_999])
def test_a_quote_left_open_in_the_header_is_said(text):
    with pytest.raises(UnusableTable, match="opened in the header and never closed"):
        read(text)
