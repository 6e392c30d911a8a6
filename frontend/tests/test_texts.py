from itertools import pairwise

import pytest

import texts

FEATURE = {"name": "petal_width", "unit": "cm", "min": 0.1, "max": 2.5, "step": 0.1}


def test_a_label_is_words_with_the_unit():
    assert texts.label(FEATURE) == "Petal width (cm)"


def test_a_name_keeps_its_capitals():
    assert texts.label(FEATURE | {"name": "pH", "unit": None}) == "pH"


@pytest.mark.parametrize(
    ("step", "expected"), [(0.1, "0.1 to 2.5"), (0.001, "0.100 to 2.500"), (1.0, "0 to 2")]
)
def test_a_range_has_the_decimals_of_the_table(step, expected):
    assert texts.training_range(FEATURE | {"step": step}) == f"Trained on {expected}"


@pytest.mark.parametrize("name", ["**bold**", "<script>", "[a](b)", "$x$", ":red[x]", "a*b"])
def test_a_name_is_never_markdown(name):
    escaped = texts.plain(name)

    assert escaped.replace("\\", "") == name
    assert all(before == "\\" for before, mark in pairwise(escaped) if mark in "*<[$:]>")
