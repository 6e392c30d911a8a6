from collections import Counter

import pandas as pd
import pytest

from table.notation import decide, examine, infer_written
from table.numbers import PLAIN, Written, read_numbers


def infer(*cells, commas_shown=False, semicolons=False):
    return decide(examine(Counter(cells)), commas_shown, semicolons)


@pytest.mark.parametrize(
    ("cells", "written"),
    [
        (["9", "9,25", "+9,5", "2,9e-03"], Written(",")),
        (["0,123", "0,456"], Written(",")),
        (["1,234.50", "12.00", "999"], Written(".", ",")),
        (["1.234,50", "12,00", "999"], Written(",", ".")),
        (["1 234,50", "12,00"], Written(",", " ")),
        (["1\u202f234", "999"], Written(".", " ")),
        (["1’234.50", "12.00"], Written(".", "'")),
        (["1.234.567", "12"], Written(",", ".")),
        (["1,234", "12.5"], Written(".", ",")),
        (["€ 1.234,50", "-€ 5", "€ -5", "7"], Written(",", ".", "€")),
        (["$1,234", "$999"], Written(".", ",", "$")),
        (["5 EUR", "6,5 EUR"], Written(",", "", "EUR")),
        (["USD 5", "USD 6.5"], Written(".", "", "USD")),
        (["45%", "50 %", "0"], Written(".", "", "%")),
        (["5 kg", "6kg", "7"], Written(".", "", "kg")),
        (["12 months", "24 months"], Written(".", "", "months")),
        (["20 °C", "21,5 °C"], Written(",", "", "°C")),
        (["3 sq ft", "4 sq ft"], Written(".", "", "sq ft")),
    ],
)
def test_signs_are_inferred_from_the_cells(cells, written):
    assert infer(*cells) == written


def test_three_digits_behind_one_sign_are_decided_by_the_rest_of_the_table():
    assert infer("1,234", "999") == Written(".", ",")
    assert infer("1,234", "999", semicolons=True) == Written(",")
    assert infer("1,234", "999", commas_shown=True) == Written(",")
    assert infer("1.234", "999") == PLAIN
    assert infer("1.234", "999", semicolons=True) == PLAIN
    assert infer("1.234", "999", commas_shown=True) == Written(",", ".")
    assert infer("1.234", "0.5", commas_shown=True) == PLAIN


GROUPED = [f"{number}.250" for number in range(1, 15)]


@pytest.mark.parametrize(
    ("cells", "other", "semicolons", "thousands"),
    [
        ([*GROUPED, "950"], ["1"], True, "."),
        ([*GROUPED, "950"], GROUPED, True, "."),
        ([str(number) for number in range(940, 950)] + ["1.250"], ["1"], True, "."),
        ([*GROUPED, "950"], ["1"], False, ""),
        ([*GROUPED, "950"], ["0.5"], True, ""),
        ([*GROUPED, "950", "1.5"], ["1"], True, ""),
        ([*GROUPED, "950", "1250"], ["1"], True, ""),
        ([*GROUPED, "999"], ["1"], True, ""),
        (GROUPED, ["1"], True, ""),
        (["1.250", "950"], ["1"], True, ""),
    ],
)
def test_whole_numbers_show_that_points_separate_thousands(cells, other, semicolons, thousands):
    columns = {"sales": pd.Series(cells), "other": pd.Series(other)}

    written = infer_written(columns, semicolons)

    assert written["sales"].thousands == thousands
    assert written["other"].thousands == (thousands if other is GROUPED else "")


@pytest.mark.parametrize(
    "cells",
    [
        ["Q1", "Q2"],
        ["A12", "B7"],
        ["1st", "2nd", "3rd"],
        ["2A", "1B"],
        ["1.2.3", "1.10.3"],
        ["12:30", "1:20"],
        ["10-20", "20-30"],
        ["3 of 5", "4 of 5"],
        ["555 123 456", "555 222 333"],
        ["+49 171 234", "+49 30 123"],
        ["5 kg", "6 lb"],
        ["1 year", "2 years"],
        ["1,2,3", "4,5,6"],
    ],
)
def test_what_only_looks_like_a_number_stays_text(cells):
    texts = pd.Series(cells, dtype="str")

    assert read_numbers(texts, infer(*cells)).isna().all()


def test_a_column_with_decimal_commas_decides_for_the_others():
    columns = {"a": ["9,25", "9"], "b": ["1,234", "5"], "c": ["1.234", "999"], "d": ["1.5", "2"]}

    written = infer_written({name: pd.Series(cells) for name, cells in columns.items()}, False)

    assert written == {"a": Written(","), "b": Written(","), "c": Written(",", "."), "d": PLAIN}


def test_a_few_thousands_in_a_long_column_are_found():
    cells = [f"{value % 900}.5" for value in range(60_000)]
    cells[1] = "1,234.5"  # between the rows that are looked at

    written = infer_written({"x": pd.Series(cells)}, semicolons=False)

    assert written == {"x": Written(".", ",")}
