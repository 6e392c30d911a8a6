import numpy as np
import pandas as pd
import pytest

from table.numbers import PLAIN, Written, read_numbers


def read(texts, **written):
    return read_numbers(pd.Series(texts, dtype="str"), Written(**written)).tolist()


PLAIN_CELLS = {
    "5": 5.0,
    "-.5": -0.5,
    "5.": 5.0,
    "+9.5": 9.5,
    "2.9e-03": 0.0029,
    "\u22125": -5.0,
    "007": 7.0,
    "5,1": None,
    "1,234": None,
    "5 kg": None,
    "nan": None,
    "inf": None,
    "1_0": None,
    "0x10": None,
    "- 5": None,
}


def test_plain_numbers_are_what_programs_write_and_a_printed_minus():
    expected = np.array([*PLAIN_CELLS.values()], dtype=float)

    np.testing.assert_array_equal(read([*PLAIN_CELLS]), expected)


@pytest.mark.parametrize(
    ("written", "cells"),
    [
        ({"decimal": ","}, {"9,25": 9.25, "+9,5": 9.5, "2,9e-03": 0.0029, "9.25": 9.25}),
        ({"decimal": ","}, {"1,2,3": None, "1.234,5": None, ",5": 0.5, "\u22121,5": -1.5}),
        ({"thousands": ","}, {"1,234.50": 1234.5, "1,234": 1234.0, "12,34": None, "999.5": 999.5}),
        ({"decimal": ",", "thousands": "."}, {"1.234,50": 1234.5, "1.234": 1234.0, "5.1": 5.1}),
        ({"decimal": ",", "thousands": " "}, {"1 234,50": 1234.5, "1\u00a0234": 1234.0}),
        ({"decimal": ",", "thousands": " "}, {"1\u202f234 567": 1234567.0, "1 23": None}),
        ({"thousands": "'"}, {"1'234.5": 1234.5, "1\u2019234": 1234.0, "'234": None}),
        ({"affix": "€"}, {"€5": 5.0, "-€ 5": -5.0, "€ -5": -5.0, "5\u00a0€": 5.0, "5": 5.0}),
        ({"affix": "€"}, {"€5€": None, "\u2212€5": -5.0, "€ \u22125": -5.0, "5 $": None}),
        ({"affix": "%"}, {"45%": 45.0, "45 %": 45.0, "%": None}),
        ({"affix": "$", "thousands": ","}, {"$1,234.50": 1234.5, "-$5": -5.0}),
        ({"affix": "a.b|c("}, {"5 a.b|c(": 5.0, "5 aab": None}),
    ],
)
def test_numbers_are_read_by_the_signs_that_they_are_written_with(written, cells):
    expected = np.array([*cells.values()], dtype=float)

    np.testing.assert_array_equal(read([*cells], **written), expected)


def test_a_missing_cell_stays_missing_in_its_place():
    texts = pd.Series(["1,5", None, "2"], index=[4, 7, 9], dtype="str", name="x")

    numbers = read_numbers(texts, Written(decimal=","))

    pd.testing.assert_series_equal(numbers, pd.Series([1.5, np.nan, 2], [4, 7, 9], name="x"))


def test_only_what_is_not_plain_is_told():
    assert PLAIN.describe() == {}
    assert Written(".", ",").describe() == {"thousands": ","}
    assert Written(".", "'").describe() == {"decimal": ".", "thousands": "'"}
    assert Written(",", ".", "€").describe() == {"decimal": ",", "thousands": ".", "affix": "€"}
