from itertools import pairwise

import pytest

import texts

FEATURE = {
    "name": "petal_width",
    "unit": "cm",
    "nullable": False,
    "min": 0.1,
    "max": 2.5,
    "step": 0.1,
}


def test_a_label_is_words_with_the_unit():
    assert texts.label(FEATURE) == "Petal width (cm)"


def test_a_name_keeps_its_capitals():
    assert texts.label(FEATURE | {"name": "pH", "unit": None}) == "pH"


def test_what_is_no_number_has_no_unit():
    assert texts.label({"name": "home_island", "type": "category"}) == "Home island"


@pytest.mark.parametrize(
    ("step", "expected"), [(0.1, "0.1 to 2.5"), (0.001, "0.100 to 2.500"), (1.0, "0 to 2")]
)
def test_a_range_has_the_decimals_of_the_table(step, expected):
    assert texts.training_range(FEATURE | {"step": step}) == f"Trained on {expected}"


def test_what_may_be_left_empty_says_so():
    said = texts.training_range(FEATURE | {"nullable": True})

    assert said == "Trained on 0.1 to 2.5; may be left empty"


def test_the_choice_for_what_is_missing_is_none_of_the_values():
    assert texts.missing_among(["a", "b"]) == "Missing"
    assert texts.missing_among(["Missing", "(Missing)"]) == "((Missing))"


@pytest.mark.parametrize(
    "name", ["**bold**", "<script>", "[a](b)", "$x$", ":red[x]", "a*b", "&lt;", "- a", "1. a"]
)
def test_a_name_is_never_markdown(name):
    escaped = texts.plain(name)

    assert escaped.replace("\\", "") == name
    assert all(before == "\\" for before, mark in pairwise(f" {escaped}") if mark in "*<[$:]>&-")
    assert not escaped.startswith("1.")


def test_a_name_is_one_line_that_begins_with_a_word():
    assert texts.plain("    code\n\nof two lines ") == "code of two lines"
