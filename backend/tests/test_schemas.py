import pytest
from conftest import VERSION, describe, fit
from mixed import FEATURES
from pydantic import ValidationError

from schemas import Manifest, Number

WHOLE = describe(fit(), b"", VERSION)
AGE, _, MEMBER, _, ISLAND, _ = FEATURES


def test_a_whole_manifest_is_taken_whatever_it_has_more_and_whatever_older_ones_lack():
    manifest = Manifest.model_validate(WHOLE | {"later": 1})

    assert manifest.version == VERSION
    assert not manifest.features[0].nullable
    assert manifest.features[0].histogram.missing == {}


@pytest.mark.parametrize("key", WHOLE)
def test_every_key_of_a_manifest_has_to_be_there(key):
    with pytest.raises(ValidationError, match=key):
        Manifest.model_validate({name: value for name, value in WHOLE.items() if name != key})


@pytest.mark.parametrize(
    ("feature", "key"),
    [
        *[(AGE, key) for key in ("name", "type", "min", "max", "mean", "median", "step")],
        *[(MEMBER, key) for key in ("name", "type", "mode")],
        *[(ISLAND, key) for key in ("name", "type", "mode", "values")],
        *[(feature, "histogram") for feature in (AGE, MEMBER, ISLAND)],
    ],
)
def test_every_key_of_a_feature_has_to_be_there(feature, key):
    poorer = {name: value for name, value in feature.items() if name != key}

    with pytest.raises(ValidationError, match=key):
        Manifest.model_validate(WHOLE | {"features": [poorer]})


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ([ISLAND | {"type": "date"}], "'date' .* does not match"),
        ([ISLAND | {"values": []}], "at least 1"),
        ([ISLAND | {"values": [f"island {it}" for it in range(101)]}], "at most 100"),
        ([ISLAND | {"values": ["Dream", "Biscoe", "Dream"]}], "two values are the same"),
        ([ISLAND | {"values": ["Dream", 3]}], "valid string"),
        ([ISLAND | {"mode": "Mars"}], "mode is not one of the values"),
        ([ISLAND | {"nullable": None}], "valid boolean"),
        ([AGE | {"max": float("inf")}], "finite"),
        ([AGE] * 2, "two features have the same name"),
    ],
)
def test_features_that_break_the_contract_are_refused(features, expected):
    with pytest.raises(ValidationError, match=expected):
        Manifest.model_validate(WHOLE | {"features": features})


@pytest.mark.parametrize(
    "metric", [{"mean": 0.1, "standard_error": 0.02}, {"mean": 0.1, "std": 0.02}, {"mean": 0.1}]
)
def test_a_metric_is_shown_as_it_was_written(metric):
    manifest = Manifest.model_validate(WHOLE | {"metrics": {"log_loss": metric}})

    assert manifest.model_dump()["metrics"] == {"log_loss": metric}


@pytest.mark.parametrize("value", [True, False, 1.0, 0.0, -0.5, "1", "true", "", None])
def test_an_example_keeps_the_types_of_its_inputs(value):
    example = {"inputs": {"x": value}, "probabilities": [1.0, 0.0]}

    [read] = Manifest.model_validate(WHOLE | {"examples": [example]}).examples

    assert read.inputs == {"x": value}
    assert type(read.inputs["x"]) is type(value)


@pytest.mark.parametrize("words", [["x" * 101], ["x"] * 101, [None], None])
def test_words_for_missing_are_texts_and_not_too_many(words):
    with pytest.raises(ValidationError, match=r"written.missing"):
        Manifest.model_validate(WHOLE | {"written": {"missing": words}})


@pytest.mark.parametrize("name", ["cp1250", "Shift_JIS", "koi8-r", "utf-8"])
def test_an_encoding_is_kept_as_it_was_named(name):
    written = {"missing": ["NA"], "encoding": name}

    manifest = Manifest.model_validate(WHOLE | {"written": written})

    assert manifest.model_dump()["written"] == written


@pytest.mark.parametrize("name", ["", "nonsense", "hex", "idna", "U7", "a" * 51, "../x", "\0", 1])
def test_what_is_no_encoding_of_files_is_refused(name):
    with pytest.raises(ValidationError, match=r"written\.encoding"):
        Manifest.model_validate(WHOLE | {"written": {"missing": [], "encoding": name}})


@pytest.mark.parametrize("written", [{}, {"affix": "%"}, {"decimal": ",", "thousands": "\u202f"}])
def test_how_numbers_are_written_is_kept(written):
    feature = AGE | {"written": written}

    manifest = Manifest.model_validate(WHOLE | {"features": [feature]})

    assert manifest.model_dump()["features"][0]["written"] == written


@pytest.mark.parametrize(
    "written",
    [
        *({"decimal": sign} for sign in ("", ";", ",,", 1)),
        *({"thousands": sign} for sign in ("", ".", "x", "  ")),
        *({"affix": affix} for affix in ("", "x" * 21, 1)),
        {"decimal": ",", "thousands": ","},
    ],
)
def test_numbers_are_written_by_known_signs(written):
    with pytest.raises(ValidationError, match=r"written"):
        Manifest.model_validate(WHOLE | {"features": [AGE | {"written": written}]})


@pytest.mark.parametrize("affix", ["", "-", "\u2212", "1", "+5", ".", ",", " ", "x" * 21])
def test_an_affix_is_no_part_of_a_number(affix):
    feature = {"type": "number", "name": "x", "written": {"affix": affix}}

    with pytest.raises(ValidationError):
        Number.model_validate(feature)
    Number.model_validate(feature | {"written": {"affix": "m2"}})
