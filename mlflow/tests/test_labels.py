import numpy as np
import pandas as pd
import pytest

from errors import UnusableTable
from table.labels import read_labels


def read(labels, is_code=False, merge_rare=False, dtype="str"):
    cells = pd.Series(labels, name="y", dtype=dtype)
    return read_labels(cells, is_code, merge_rare)


def repeat(*labels, rows=40):
    return (list(labels) * rows)[:rows]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (repeat("Yes", "No"), {"Yes", "No"}),
        (repeat("1.0", "0.0", "1"), {"1", "0"}),
        (repeat("01", "02"), {"01", "02"}),
        (repeat("0,5", "1,0"), {"0.5", "1"}),
        (repeat("5 kg", "6 kg"), {"5 kg", "6 kg"}),
        (repeat("TRUE", "true", "False"), {"True", "False"}),
        (repeat("low", "inf"), {"low", "inf"}),
    ],
)
def test_labels_are_as_a_person_writes_them(labels, classes):
    assert set(read(labels)[0]) == classes


def test_words_for_missing_are_named_with_the_option_that_keeps_them():
    labels, remarks = read([*repeat("a", "b"), None, "None", "None", "NA"])

    assert len(labels) == 40
    [remark] = remarks
    assert remark.startswith("4 rows without a label in y are left out: 2 with None and 1 with NA.")
    assert remark.endswith(" If these are classes, add --category y.")


def test_a_class_may_be_called_none():
    labels, remarks = read([*repeat("a", "None", "1.0"), None], is_code=True)

    assert set(labels) == {"a", "None", "1.0"}
    assert remarks == ["1 row without a label in y is left out."]


@pytest.mark.parametrize("dtype", ["str", "float64"])
def test_infinite_is_no_label_among_numbers(dtype):
    with pytest.raises(UnusableTable, match=r"Label 'inf' of y in row 3 .*, --category y"):
        read(repeat("0", "1", "inf"), dtype=dtype)

    assert set(read(repeat("0", "1", "inf"), is_code=True)[0]) == {"0", "1", "inf"}


def test_decimals_with_commas_are_measurements():
    with pytest.raises(UnusableTable, match="40 different numbers: too many for classes"):
        read([f"{value:.3f}".replace(".", ",") for value in np.linspace(0, 1, 40)])


RARE = [*repeat("a", "b"), "c", "c", "c", "d", "d"]


def test_all_rare_classes_are_named_at_once():
    message = r"Classes 'c' \(3 rows\) and 'd' \(2 rows\) of y have fewer than 5.*--merge-rare"

    with pytest.raises(UnusableTable, match=message):
        read(RARE)


def test_rare_classes_are_merged_if_asked():
    labels, remarks = read(RARE, merge_rare=True)

    assert labels.value_counts().to_dict() == {"a": 20, "b": 20, "other": 5}
    assert remarks == ["Classes 'c' and 'd' of y, with fewer than 5 rows, are merged into other."]
    assert read(repeat("a", "b"), merge_rare=True)[1] == []


def test_classes_that_are_rare_together_are_refused_still():
    with pytest.raises(UnusableTable, match=r"Class 'other' \(4 rows\) of y has fewer than 5"):
        read(RARE[:-1], merge_rare=True)
