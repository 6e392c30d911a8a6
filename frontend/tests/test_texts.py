import ast
import re
import string
from itertools import pairwise
from pathlib import Path

import pytest
import streamlit as st
from mixed import number

import texts

FEATURE = number("petal_width") | {"unit": "cm", "min": 0.1, "max": 2.5, "step": 0.1}
SENTENCES = {
    name: sentence for name, sentence in vars(texts).items() if isinstance(sentence, texts.Sentence)
} | {
    f"{name}[{key}]": sentence
    for name, sentences in vars(texts).items()
    if name.isupper() and isinstance(sentences, dict)
    for key, sentence in sentences.items()
    if isinstance(sentence, texts.Sentence)
}
SOURCES = [path for path in Path(__file__).parents[1].rglob("*.py") if "tests" not in path.parts]


@pytest.fixture
def french(monkeypatch):
    monkeypatch.setitem(st.session_state, "language", "fr")


def braces(said):
    return {name for _, name, _, _ in string.Formatter().parse(said) if name}


@pytest.mark.parametrize("name", SENTENCES)
def test_every_sentence_says_the_same_in_both_languages(name):
    english, french = SENTENCES[name]

    assert english
    assert french
    assert braces(english) == braces(french)


def test_every_sentence_is_said_somewhere():
    source = "\n".join(path.read_text() for path in SOURCES)

    unsaid = [name for name in SENTENCES if "[" not in name and source.count(name) < 2]
    assert unsaid == []


@pytest.mark.parametrize("path", [path for path in SOURCES if path.name != "texts.py"], ids=str)
def test_no_other_module_says_anything(path):
    """A sentence has a space between words; docstrings are for those who read the code."""
    tree = ast.parse(path.read_text())
    docstrings = {
        ast.get_docstring(node, clean=False)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    }
    shown = [
        argument.value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and re.match(r"st\.(?!code)", ast.unparse(call.func))
        for argument in call.args[:1]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]

    assert [text for text in shown if " " in text and text not in docstrings] == []


@pytest.mark.usefixtures("french")
def test_what_is_chosen_is_spoken_and_no_line_begins_with_a_mark():
    assert texts.PREDICT() == "Prédire"
    assert texts.training_range(FEATURE) == "Entraîné de 0,1 à 2,5"
    assert texts.number(1234567.5, 1) == "1\u202f234\u202f567,5"
    assert texts.percent(0.987) == "98,7\u202f%"
    said = texts.INTRODUCTION(target="species")
    assert "s'agit-il\u00a0? " in said
    assert "exemple\u00a0; le" in said


def test_without_a_choice_english_is_spoken():
    assert texts.PREDICT() == "Predict"
    assert texts.number(1234567.5, 1) == "1,234,567.5"
    assert texts.percent(0.987) == "98.7%"


def test_a_label_is_words_with_the_unit_of_a_number_and_keeps_its_capitals():
    assert texts.label(FEATURE) == "Petal width (cm)"
    assert texts.label(FEATURE | {"name": "pH", "unit": None}) == "pH"
    assert texts.label({"name": "home_island", "type": "category"}) == "Home island"


@pytest.mark.parametrize(
    ("step", "expected"), [(0.1, "0.1 to 2.5"), (0.001, "0.100 to 2.500"), (1.0, "0 to 2")]
)
def test_a_range_has_the_decimals_of_the_table(step, expected):
    feature = FEATURE | {"step": step}
    assert texts.training_range(feature) == f"Trained on {expected}"
    said = texts.training_range(feature | {"nullable": True})
    assert said == f"Trained on {expected}; may be left empty"


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
    assert texts.plain(f"    {name}\n\nof two lines ") == f"{escaped} of two lines"
