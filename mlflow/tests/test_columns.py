"""What becomes of the columns of a file, by how their cells are written."""

import datetime

import numpy as np
import pandas as pd
import pytest

from errors import UnusableTable
from reading.formats import Table, parse_table
from reading.origin import Origin
from table.choices import Choices
from table.dataset import make_dataset

ROWS = 40
SHEET = Origin(sheet="Sheet1")


def read(cells, separator=";", **choices):
    """A file of a column x of these cells, over and over, and a good one, to predict a or b."""
    good = np.random.default_rng(0).random(ROWS)
    fields = [
        (str(cells[row % len(cells)]), f"{good[row]:.3f}", "ab"[row % 2]) for row in range(ROWS)
    ]
    lines = [separator.join(("x", "good", "y")), *map(separator.join, fields)]
    table = parse_table("\n".join(lines).encode(), "t.csv")
    return make_dataset(table, "t", "y", Choices(**choices))


def read_cells(cells, **choices):
    """A sheet of a column x of these cells, of any kind."""
    values = pd.Series([cells[row % len(cells)] for row in range(ROWS)], dtype=object)
    good = np.random.default_rng(0).random(ROWS)
    frame = pd.DataFrame({"x": values, "good": good, "y": ["a", "b"] * (ROWS // 2)})
    return make_dataset(Table(frame, "", SHEET), "t", "y", Choices(**choices))


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["9", "9,25", "+9,5"], [9, 9.25, 9.5]),
        (["1.234,50", "2.000", "3,5"], [1234.5, 2000, 3.5]),
        (["45%", "50 %", "NA"], [45, 50, np.nan]),
        (["5 kg", "6kg", "7"], [5, 6, 7]),
        (["€ 5", "-€ 6", "7 €"], [5, -6, 7]),
        (["\u22125", "\u00a06", "7 "], [-5, 6, 7]),
    ],
)
def test_numbers_as_people_write_them_are_numbers(cells, numbers):
    dataset = read(cells)

    assert dataset.kinds["x"] == "number"
    np.testing.assert_array_equal(dataset.X["x"][:3], numbers)


def test_one_line_says_how_the_table_was_read():
    assert read(["1.234,50", "3,5", "7"]).remarks == [
        "Read as UTF-8, separated by semicolons, decimal commas, thousands in points."
    ]
    assert read(["1,234", "999", "7"], separator="\t").remarks == [
        "Read as UTF-8, separated by tabs, thousands in commas."
    ]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["TRUE", "false", "True"], "boolean"),
        (["yes", "no", "NA"], "category"),
        (["Q1", "Q2", "A12"], "category"),
        (["12:30", "8:15", "9:00"], "category"),
        (["1", "0", "?"], "number"),
    ],
)
def test_other_texts_are_what_they_seem(cells, kind):
    assert read(cells).kinds["x"] == kind


def test_a_word_among_numbers_is_refused_by_row():
    with pytest.raises(UnusableTable, match=r"but for 10 of 40 values: 'k.A.' in row 3 below"):
        read(["9,5", "10", "k.A.", "11,5"])


@pytest.mark.parametrize("cells", [["01234", "99999", ""], ["01234", "99999", "01234-5678"]])
def test_codes_with_leading_zeros_stay_text_with_a_remark(cells):
    dataset = read(cells)

    assert dataset.X["x"].fillna("").tolist()[:3] == cells
    assert dataset.remarks[1].startswith("Column x is read as text, because its whole numbers have")


def test_a_column_named_by_category_is_letter_by_letter():
    dataset = read(["NA", "01", "1.0"], categories=["x"])

    assert dataset.X["x"].tolist()[:3] == ["NA", "01", "1.0"]
    assert len(dataset.remarks) == 1


def test_different_units_are_said():
    remark = read(["5 kg", "7 g", "6 kg"]).remarks[1]

    assert remark.startswith("Column x is read as text, because its numbers have different units")
    assert "'kg' and 'g'" in remark


@pytest.mark.parametrize(
    "cells",
    [
        ["2021/01/05", "2021/01/06", "NA"],
        ["Jan 05, 2021", "Jan 06, 2021", "unknown"],
        ["5 Jan", "6 Jan", "7 Jan"],
        ["20210105", "20210106", "19991231"],
    ],
)
def test_dates_are_left_out(cells):
    dataset = read(cells)

    assert list(dataset.X.columns) == ["good"]
    assert dataset.remarks[1].startswith("Column x is left out: it holds dates")


def test_cells_of_a_sheet_keep_their_kinds_and_texts_follow_the_rule():
    dataset = read_cells([1.234, "2,5", "1.000 €", "€ 7,5", "3,5 €", None, "NA"])

    assert dataset.X["x"].fillna(-1).tolist()[:7] == [1.234, 2.5, 1000, 7.5, 3.5, -1, -1]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([True, "TRUE", "false"], "boolean"),
        (["01234", 99999.0, "x"], "category"),
        ([True, 5, "x"], "category"),
    ],
)
def test_mixed_cells_of_a_sheet_are_what_most_of_them_are(cells, kind):
    assert read_cells(cells).kinds["x"] == kind


def test_a_word_among_the_numbers_of_a_sheet_is_refused_by_row():
    with pytest.raises(UnusableTable, match="'x' in row 3 below the header"):
        read_cells([1, 2.5, "x"])


def test_dates_of_a_sheet_are_left_out_beside_texts():
    dataset = read_cells([datetime.date(2021, 1, 5), "2021-01-06", datetime.date(2021, 1, 7)])

    assert list(dataset.X.columns) == ["good"]


def test_numbers_become_codes_as_a_person_writes_them():
    frame = pd.DataFrame({"i": [1, 2] * 20, "f": [1.0, None] * 20, "c": [7, 8] * 20})
    frame["c"] = frame["c"].astype("category")
    frame["y"] = np.random.default_rng(0).choice(["a", "b"], 40)

    dataset = make_dataset(Table(frame, ""), "t", "y", Choices(categories=["i", "f"]))

    assert set(dataset.kinds.values()) == {"category"}
    assert dataset.X.iloc[:2].fillna("").to_numpy().tolist() == [["1", "1", "7"], ["2", "", "8"]]


@pytest.mark.parametrize("cells", [[1.0, 2.5, 3.0], [True, False, True]])
def test_what_the_backend_takes_for_no_code_is_refused(cells):
    with pytest.raises(UnusableTable, match=r"holds (2.5|True) in row [12] below.* is no code"):
        read_cells(cells, categories=["x"])

    assert read_cells([*cells, "x"], categories=["x"]).kinds["x"] == "category"
