import pytest
import streamlit as st
from mixed import FEATURES, category, number

import address

INSTANCE = {"age": None, "mass": 20.5, "member": True, "tagged": False}
INSTANCE |= {"island": "Dream", "sex": "male"}


@pytest.fixture(autouse=True)
def query(monkeypatch):
    """The parameters of the page's address."""
    parameters = {}
    monkeypatch.setattr(st, "query_params", parameters)
    return parameters


def test_an_address_carries_an_instance_readably_with_what_it_lacks(query):
    address.write(INSTANCE)

    assert address.read(FEATURES) == {k: v for k, v in INSTANCE.items() if v is not None}
    assert (query["mass"], query["member"], query["tagged"]) == ("20.5", "true", "false")
    assert "age" not in query


@pytest.mark.parametrize("exact", [0.1 + 0.2, 1e300, 5e-324, -0.0, 3.0])
def test_a_number_comes_back_as_it_was(exact):
    address.write({"mass": exact})

    assert address.read([number("mass")]) == {"mass": exact}


@pytest.mark.parametrize("text", ["heavy", "nan", "inf", "-Infinity", "1e999"])
def test_what_is_no_value_of_a_feature_is_not_read(query, text):
    query |= {"mass": text, "tagged": "perhaps", "sex": "<script>", "nothing": "5"}

    assert address.read(FEATURES) == {}


def test_a_new_instance_leaves_nothing_of_the_one_before(query):
    query |= {"old": "1", "language": "fr"}

    address.write({"mass": 1.0})

    assert query == {"mass": "1", "language": "fr"}


@pytest.mark.parametrize("name", ["language", "embed", "embed_options", "language_"])
def test_a_feature_may_be_called_as_the_page_calls_its_own(query, name):
    query["language"] = "fr"

    address.write({name: "a"})

    assert query["language"] == "fr"
    assert address.read([category(name, ["b", "a"])]) == {name: "a"}
    assert not {"embed", "embed_options"} & set(query)


def test_what_is_too_long_for_an_address_stays_out_of_it(query):
    query["old"] = "1"

    written = address.write({f"feature {index}": 0.5 for index in range(1000)})

    assert not written
    assert query == {}
