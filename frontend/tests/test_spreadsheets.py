import io
import re
import zipfile

import pyarrow as pa
import pytest
from python_calamine import CalamineWorkbook

import spreadsheets

FORMULAS = [
    *("=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "=\n1", "＝1", "--1", "-cmd|x"),
    *("+1(2)", "-5!A1", '=HYPERLINK("x")', "-2+3 kg", "-[x]y"),
]
NUMBERS = ["-5", "+3.2", "-5,3", "-1.234,50", "-1 234", "-.5", "-2.9e-03", "-€ 5", "-5 °C", "-45%"]
OTHERS = ["", "-", "+", "@", "=", "a=1", "'=1", " =1", "<0", "06000", None]
ODD = [
    "<r><t>x</t></r>",
    "<r>x",
    "_x0041_",
    "a\rb",
    "a\nb",
    "\ta ",
    "\x01",
    "😀",
    "{=1}",
    "http://x.y",
]


def read_sheet(content):
    return CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()


@pytest.mark.parametrize("cell", FORMULAS)
def test_a_formula_gets_an_apostrophe(cell):
    assert spreadsheets.guard(pa.array([cell])).to_pylist() == [f"'{cell}"]


@pytest.mark.parametrize("cell", NUMBERS + OTHERS)
def test_a_number_and_other_text_stays_as_it_is(cell):
    assert spreadsheets.guard(pa.array([cell], pa.string())).to_pylist() == [cell]


def test_a_workbook_has_numbers_in_numeric_columns_and_text_letter_by_letter():
    texts = [*FORMULAS, *NUMBERS, *ODD, "06000", "1.0", "true"]
    numbers = [index / 2 for index in range(len(texts))]

    content = spreadsheets.write_workbook(pa.table({"=t": texts, "n": numbers}), "Predictions")

    assert read_sheet(content) == [["=t", "n"], *map(list, zip(texts, numbers, strict=True))]
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        assert not re.search(rb"<f>|<hyperlink", parts.read("xl/worksheets/sheet1.xml"))


def test_a_workbook_keeps_what_excel_has_no_number_for_as_text():
    table = pa.table(
        {
            "float": [float("nan"), float("-inf"), 1.5, None],
            "integer": [9007199254740993, -1, None, 2],
            "truth": [True, False, None, True],
            "list": [["=1"], [], None, ["a"]],
        }
    )

    rows = read_sheet(spreadsheets.write_workbook(table, "Predictions"))[1:]

    assert rows == [
        ["nan", "9007199254740993", True, "['=1']"],
        ["-inf", -1.0, False, "[]"],
        [1.5, "", "", ""],
        ["", 2.0, True, "['a']"],
    ]


def test_many_rows_keep_their_order():
    count = spreadsheets.ROWS_AT_ONCE * 2 + 1

    rows = read_sheet(spreadsheets.write_workbook(pa.table({"n": range(count)}), "Predictions"))

    assert rows == [["n"], *([float(index)] for index in range(count))]


@pytest.mark.parametrize(
    ("table", "fits"),
    [
        (pa.table({"n": pa.nulls(1_048_575)}), True),
        (pa.table({"n": pa.nulls(1_048_576)}), False),
        (pa.table({str(index): [1] for index in range(16_385)}), False),
        (pa.table({"t": ["x" * 32_767]}), True),
        (pa.table({"t": ["x", "x" * 32_768]}), False),
        (pa.table({str(index): range(500_000) for index in range(10)}), False),
    ],
)
def test_what_a_sheet_cannot_hold_does_not_fit(table, fits):
    assert spreadsheets.fits_sheet(table) == fits
