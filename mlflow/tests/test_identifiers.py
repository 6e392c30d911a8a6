import numpy as np
import pandas as pd
import pytest

from errors import UnusableTable
from reading.formats import Table
from table.choices import NO_CHOICES, Choices
from table.dataset import make_dataset
from table.identifiers import are_row_numbers, is_called_code

ROWS = 40
RANDOM = np.random.default_rng(0)
GAPS = RANDOM.choice(1000, ROWS, replace=False)


def number(name, values):
    return pd.Series(values, name=name, dtype="float64")


@pytest.mark.parametrize("first", [0, 1])
def test_whole_numbers_without_a_gap_number_the_rows_in_any_order(first):
    assert are_row_numbers(number("x", RANDOM.permutation(ROWS) + first))
    assert not are_row_numbers(number("x", [*range(first, ROWS), 3]))
    assert not are_row_numbers(number("x", np.arange(ROWS) + 0.5))


def test_other_numbers_without_a_gap_are_row_numbers_in_their_order_alone():
    assert are_row_numbers(number("x", range(1990, 2030)))
    assert are_row_numbers(number("x", range(2030, 1990, -1)))
    assert not are_row_numbers(number("x", RANDOM.permutation(ROWS) + 1990))


@pytest.mark.parametrize(
    "name",
    [
        *("row", "row_1", "rownames", "row.names", "index", "Unnamed: 0", "Unnamed: 0.1"),
        *("__index_level_0__", "level_0", "id", "ID", "user_id", "PassengerId", "CustomerID"),
        *(
            "customerid",
            "record.no",
            "Nr",
            "number",
            "phone number",
            "house_number",
            "seqno",
            "uid",
        ),
    ],
)
def test_names_tell_row_numbers_with_gaps(name):
    assert are_row_numbers(number(name, GAPS))


@pytest.mark.parametrize("name", ["x", "paid", "humid", "acid", "notes", "rows_of_seats", "nox"])
def test_other_names_do_not(name):
    assert not are_row_numbers(number(name, GAPS))


@pytest.mark.parametrize("name", ["zip", "ZipCode", "postal_code", "PLZ", "Phone", "barcode"])
def test_names_of_codes_are_known(name):
    assert is_called_code(name)


def make(x, labels, choices=NO_CHOICES, name="x"):
    frame = pd.DataFrame({name: x, "good": RANDOM.random(len(x)), "y": labels})
    return make_dataset(Table(frame, ""), "t", "y", choices)


def test_row_numbers_are_found_though_rows_without_a_label_are_left_out():
    labels = pd.Series(["a", "b"] * (ROWS // 2)).mask([row in (3, 7, 11) for row in range(ROWS)])

    dataset = make(RANDOM.permutation(ROWS), labels)

    assert dataset.remarks[-1] == ("Column x is left out: it numbers the rows (--keep x keeps it).")


def test_row_numbers_stay_if_asked():
    labels = ["a", "b"] * (ROWS // 2)

    assert "x" in make(RANDOM.permutation(ROWS), labels, Choices(keep=["x"])).kinds
    assert "x" in make([f"row {row}" for row in range(ROWS)], labels, Choices(keep=["x"])).kinds


def test_numbers_that_tell_the_classes_nearly_alone_are_refused():
    labels = ["a"] * 20 + ["b"] * 19 + ["a"]
    x = np.sort(GAPS)

    with pytest.raises(UnusableTable, match=r"alone\. If they number the rows, --drop x"):
        make(x, labels)
    assert "x" in make(x, labels, Choices(keep=["x"])).kinds
    assert "x" in make(x + 0.5, labels).kinds
    assert "x" in make(x, ["a"] * 15 + ["b"] * 15 + ["a"] * 10).kinds


def test_numbers_that_tell_no_more_than_the_largest_class_are_kept():
    labels = pd.Series(["a"] * 400).mask([row % 45 == 0 for row in range(400)], "b")

    assert "x" in make(np.arange(400) * 3, labels).kinds


def test_a_number_that_may_be_a_code_is_said():
    [remark] = make(
        [80331, 80333, 10115, 20095] * 10, list("aabb" * 5 + "abab" * 5), name="plz"
    ).remarks

    assert remark == "Column plz is read as numbers. If they are codes, add --category plz."
