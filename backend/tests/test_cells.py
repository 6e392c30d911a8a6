import pyarrow as pa
import pytest
from conftest import VERSION, describe, fit
from mixed import FEATURES

from schemas import Manifest
from worker.tables.cells import MISSING, make_readers

AGE, _, MEMBER, _, ISLAND, _ = FEATURES


def make_reader(feature, words=MISSING, decimal="."):
    manifest = describe(fit(), b"", VERSION) | {"features": [feature]}
    manifest |= {"written": {"missing": [*words]}}
    [reader] = make_readers(Manifest.model_validate(manifest), decimal)
    return reader


def read(feature, cells, **options):
    column = cells if isinstance(cells, pa.Array) else pa.array(cells, pa.string())
    return make_reader(feature, **options).read(column).to_pylist()


def number(**written):
    return AGE | {"written": written}


PLAIN = {
    "5.1": 5.1,
    "\u00a0 5.1\u202f": 5.1,
    "+9.5": 9.5,
    "2.9e-03": 0.0029,
    ".5": 0.5,
    "5.": 5.0,
    "\u22125": -5.0,
    "NA": None,
    " ? ": None,
    "": None,
    "5,1": None,
    "1,234": None,
    "5 kg": None,
    "x": None,
    "1_0": None,
    "- 5": None,
}


def test_plain_numbers_are_read_with_blanks_and_signs():
    assert read(AGE, [*PLAIN]) == [*PLAIN.values()]


@pytest.mark.parametrize(
    ("written", "cells"),
    [
        ({"decimal": ","}, {"9,25": 9.25, "+9,5": 9.5, "2,9e-03": 0.0029, "9.25": 9.25, "9": 9.0}),
        ({"decimal": ","}, {"1,2,3": None, "1.234,5": None, ",5": 0.5, "\u22121,5": -1.5}),
        ({"thousands": ","}, {"1,234.50": 1234.5, "1,234": 1234.0, "12,34": None, "999.5": 999.5}),
        ({"thousands": ","}, {"-1,234,567": -1234567.0, "1234,567": None, "0.123": 0.123}),
        ({"decimal": ",", "thousands": "."}, {"1.234,50": 1234.5, "1.234": 1234.0, "5.1": 5.1}),
        ({"decimal": ",", "thousands": "."}, {"1.234.567,": 1234567.0, "1.2345": 1.2345}),
        ({"decimal": ",", "thousands": " "}, {"1 234,50": 1234.5, "1\u00a0234": 1234.0}),
        ({"decimal": ",", "thousands": "\u202f"}, {"1\u202f234 567": 1234567.0, "1 23": None}),
        ({"thousands": "'"}, {"1'234.5": 1234.5, "1\u2019234": 1234.0, "'234": None}),
        ({"affix": "€"}, {"€5": 5.0, "-€ 5": -5.0, "€ -5": -5.0, "5\u00a0€": 5.0, "5": 5.0}),
        ({"affix": "€"}, {"€5€": None, "\u2212€5": -5.0, "€ \u22125": -5.0, "5 $": None}),
        ({"affix": "%"}, {"45%": 45.0, "45 %": 45.0, "4.5e1%": 45.0, "%": None}),
        ({"affix": "kg", "thousands": ","}, {"1,234 kg": 1234.0, "5kg": 5.0, "5 kgs": None}),
        ({"affix": "US $", "decimal": ","}, {"US $ 5,5": 5.5, "5,5 US $": 5.5}),
        ({"affix": "a.b|c\\E("}, {"5 a.b|c\\E(": 5.0, "5 aab": None}),
    ],
)
def test_numbers_are_read_as_the_manifest_says_they_are_written(written, cells):
    assert read(number(**written), [*cells]) == [*cells.values()]


def test_a_comma_separates_decimals_where_the_table_lets_it():
    assert read(AGE, ["9,25", "9.5"], decimal=",") == [9.25, 9.5]
    assert read(number(affix="kg"), ["9,25 kg"], decimal=",") == [9.25]
    assert read(number(thousands=","), ["9,250", "9.5"], decimal=",") == [9250.0, 9.5]


@pytest.mark.parametrize("word", ["-999", "inf", "0"])
def test_a_word_for_missing_may_look_like_a_number(word):
    assert read(AGE, [word, "1"], words=[word]) == [None, 1.0]
    assert read(number(affix="kg"), [word, "1 kg"], words=[word]) == [None, 1.0]


def test_words_that_a_category_knows_are_its_values():
    island = ISLAND | {"values": ["None", "Dream"], "mode": "Dream"}

    found = read(island, ["None", " None ", "NA", "\u00a0Dream", "a  b", " "])

    assert found == ["None", "None", None, "Dream", "a  b", None]


def test_booleans_are_read_in_any_case():
    cells = ["true", " FALSE", "True\u00a0", "0", "1", "NA", "yes", "2"]

    assert read(MEMBER, cells) == [True, False, True, False, True, None, None, None]


CODES = pa.array([1, None, 2], pa.int16())


@pytest.mark.parametrize(
    "codes",
    [CODES, CODES.cast(pa.float32()), CODES.cast(pa.uint64()), CODES.dictionary_encode()],
    ids=lambda it: str(it.type),
)
def test_whole_numbers_are_codes_of_a_category(codes):
    assert read(ISLAND, codes) == ["1", None, "2"]


def test_other_numbers_are_no_codes():
    column = pa.array([1.5, 2.0, float("nan"), float("inf"), 1e300])
    reader = make_reader(ISLAND)

    assert reader.read(column).to_pylist() == [None, "2", None, None, None]
    assert reader.clear(column).null_count == 1


def test_nan_is_missing_and_an_infinity_is_not():
    column = pa.array([1.5, float("nan"), float("inf"), None])

    assert read(AGE, column) == [1.5, None, float("inf"), None]
    assert make_reader(AGE).clear(column).null_count == 2


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), "dictionary"])
@pytest.mark.parametrize(
    ("feature", "texts", "expected"),
    [
        (AGE, ["5", " NA"], [5.0, None]),
        (number(decimal=","), ["5,5 ", "x"], [5.5, None]),
        (MEMBER, ["TRUE", "NA"], [True, None]),
        (ISLAND, [" Dream", "NA"], ["Dream", None]),
    ],
)
def test_text_of_any_type_is_read_by_the_same_rule(kind, feature, texts, expected):
    column = pa.array(texts)
    column = column.dictionary_encode() if kind == "dictionary" else column.cast(kind)

    assert make_reader(feature).takes(column.type)
    assert read(feature, column) == expected


@pytest.mark.parametrize(
    ("feature", "kinds"),
    [
        (AGE, [pa.bool_(), pa.date32(), pa.binary()]),
        (MEMBER, [pa.int8(), pa.float64(), pa.timestamp("s")]),
        (ISLAND, [pa.bool_(), pa.decimal128(5, 2), pa.list_(pa.string())]),
    ],
)
def test_other_types_are_not_taken(feature, kinds):
    assert not any(make_reader(feature).takes(kind) for kind in kinds)


def test_a_category_that_an_older_training_kept_with_its_blanks_is_known_by_them():
    island = ISLAND | {"values": ["Biscoe ", "Dream"], "mode": "Dream"}

    assert read(island, ["Biscoe ", "Biscoe", " Dream "]) == ["Biscoe ", "Biscoe", "Dream"]
