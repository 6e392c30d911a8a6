import numpy as np
import pytest

from errors import UnusableTable
from reading.formats import parse_table
from table.dataset import make_dataset

ROWS = 40
NO_DATA = "Row 41 is no data and is left out."


def read(above="", below="", header="x,z,good,y"):
    good = np.random.default_rng(0).random(ROWS)
    rows = [f"{row % 7},{row % 5},{good[row]:.3f},{'ab'[row % 2]}\n" for row in range(ROWS)]
    text = f"{header}\n{above}{''.join(rows)}{below}"
    return make_dataset(parse_table(text.encode(), "t.csv"), "t", "y")


def test_a_line_of_units_is_left_out_and_gives_them():
    dataset = read(above="kg,[cm],,\n")

    assert len(dataset.X) == ROWS
    assert dataset.units == {"x": "kg", "z": "cm"}
    assert dataset.remarks[1:] == ["Row 1 holds units and is left out."]


def test_units_may_stand_above_the_label_too():
    assert read(above="kg,cm,-,type\n").classes == ["a", "b"]


@pytest.mark.parametrize(
    ("below", "remark"),
    [
        ("Total,,,\n", "Row 41 is no data and is left out."),
        ("Total,12,1.5,\n", "Row 41 is no data and is left out."),
        ("Total,,,\n\nSource: my office\n", "Rows 41 and 42 are no data and are left out."),
        (",,20.5,\n", "Row 41 is no data and is left out."),
        (",,,sum\n", "Row 41 is no data and is left out."),
        ("n,,,\nm,,,\nk,,,\n", "Rows 41, 42 and 43 are no data and are left out."),
    ],
)
def test_rows_at_the_end_that_are_no_data_are_left_out_and_named(below, remark):
    dataset = read(below=below)

    assert set(dataset.kinds.values()) == {"number"}
    assert len(dataset.X) == ROWS
    assert dataset.remarks[1:] == [remark]


def test_rows_are_judged_by_the_features_that_are_kept():
    cells = [f"{row},c{row},{row % 7},{row % 5},{'ab'[row % 2]}\n" for row in range(ROWS)]
    text = "number,city,x,z,y\n" + "".join(cells)

    def add(last):
        dataset = make_dataset(parse_table(f"{text}{last}".encode(), "t.csv"), "t", "y")
        return len(dataset.X), dataset.remarks[1]

    assert add("Sum,,3,4,\n") == add("40,c40,,,b\n") == (ROWS, NO_DATA)
    assert add("Berlin,,3,4,\n") == (ROWS, "1 row without a label in y is left out.")
    assert add("Berlin,,3,4,b\n")[0] == ROWS + 1


def test_a_short_line_of_words_is_no_data_and_others_lack_something():
    remarks = read(below="Note: see below, 2021\n").remarks
    short = read(above="1,2,0.5\n", below="1,2\n").remarks

    assert remarks[1:] == [NO_DATA]
    assert short[1] == "2 rows are shorter than the header, and what they lack is missing."


def test_more_rows_than_notes_take_are_data():
    assert read(below=",,,a\n,,,b\n" * 2).remarks[1:] == []
    assert read(below="-,,,\n" * 4).remarks[1:] == ["4 rows without a label in y are left out."]


def test_a_row_of_data_without_a_label_is_counted_as_that():
    assert read(below="1,2,0.5,\n").remarks[1:] == ["1 row without a label in y is left out."]


def test_rows_without_a_label_are_taken_out_before_columns_are_judged():
    dataset = read(above="1,1,0.5,a\nsee below,b,c,\n" + "-,-,-,\n" * 30)

    assert set(dataset.kinds.values()) == {"number"}
    assert dataset.remarks[1:] == ["31 rows without a label in y are left out."]


@pytest.mark.parametrize("edge", [{"above": "inf,,,a\n"}, {"below": "1,-Inf,0.5,b\n"}])
def test_an_infinite_number_makes_a_row_no_note(edge):
    with pytest.raises(UnusableTable, match=r"holds numbers, but for 1 of 41 values: '(-I|i)nf'"):
        read(**edge)
