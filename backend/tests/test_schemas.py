import pytest
from conftest import VERSION, describe, fit
from pydantic import ValidationError

from schemas import Manifest

WHOLE = describe(fit(), b"", VERSION)


def test_a_whole_manifest_is_taken_and_what_it_has_more_is_ignored():
    manifest = Manifest.model_validate(WHOLE | {"later": 1})

    assert manifest.version == VERSION


@pytest.mark.parametrize("key", WHOLE)
def test_every_key_of_a_manifest_has_to_be_there(key):
    with pytest.raises(ValidationError, match=key):
        Manifest.model_validate({name: value for name, value in WHOLE.items() if name != key})


@pytest.mark.parametrize("key", ["min", "max", "mean", "median", "step", "histogram"])
def test_every_key_of_a_feature_has_to_be_there(key):
    [first, *others] = WHOLE["features"]
    poorer = {name: value for name, value in first.items() if name != key}

    with pytest.raises(ValidationError, match=key):
        Manifest.model_validate(WHOLE | {"features": [poorer, *others]})


def test_infinities_are_no_ranges():
    [first, *others] = WHOLE["features"]

    with pytest.raises(ValidationError, match="finite"):
        Manifest.model_validate(WHOLE | {"features": [first | {"max": float("inf")}, *others]})


def test_two_features_of_one_name_are_refused():
    with pytest.raises(ValidationError, match="two features have the same name"):
        Manifest.model_validate(WHOLE | {"features": [WHOLE["features"][0]] * 2})
