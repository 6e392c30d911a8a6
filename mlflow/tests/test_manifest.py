import json
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from errors import UnusableTable
from publishing.manifest import describe, describe_features
from reading.formats import Table, parse_table
from table.dataset import make_dataset, read_iris


def describe_column(values):
    frame = pd.DataFrame({"x": values, "y": ["a", "b"] * (len(values) // 2)})
    [feature] = describe_features(make_dataset(Table(frame, ""), "table", "y"))
    return feature


def test_a_number_tells_its_range_and_unit():
    sepal_length = describe_features(read_iris())[0]

    assert (sepal_length["type"], sepal_length["unit"]) == ("number", "cm")
    assert (sepal_length["min"], sepal_length["max"]) == (4.3, 7.9)
    assert sepal_length["mean"] == pytest.approx(5.843, abs=1e-3)
    assert sepal_length["median"] == 5.8
    assert (sepal_length["nullable"], sepal_length["imputable"]) == (False, True)


def test_a_histogram_counts_every_row_of_every_class():
    histogram = describe_features(read_iris())[0]["histogram"]

    classes = ("setosa", "versicolor", "virginica")
    counted = {label: sum(counts) for label, counts in histogram["counts"].items()}
    assert counted == dict.fromkeys(classes, 50)
    assert histogram["missing"] == dict.fromkeys(classes, 0)
    assert (histogram["edges"][0], histogram["edges"][-1]) == (4.3, 7.9)


def test_the_words_that_were_read_as_missing_are_told(training):
    table = parse_table(b"x,y\n" + b"n/a,a\n1,b\n?,a\n2,b\n" * 10, "t.csv")
    manifest = describe(training.dataset, [], training.winner, training.models[0])

    words = json.loads(json.dumps(manifest))["written"]["missing"]

    assert make_dataset(table, "t", "y").X["x"].isna().sum() == 20
    assert {"", "n/a", "?", "<NA>", "None"} <= set(words)


def test_how_a_number_is_written_is_told_if_it_is_not_plain():
    rows = b"kg,,\n" + b'5,"7,5 %",a\n6,8 %,b\n8,9 %,a\n' * 10
    dataset = make_dataset(parse_table(b"x,z,y\n" + rows, "t.csv"), "t", "y")

    plain, rate = describe_features(dataset)

    assert "written" not in plain
    assert plain["unit"] == "kg"
    assert rate["written"] == {"decimal": ",", "affix": "%"}
    assert rate["unit"] == "%"


def test_only_an_encoding_that_was_given_is_told(training):
    told = [
        describe(replace(training.dataset, encoding=name), [], training.winner, training.models[0])
        for name in ("", "cp1250")
    ]

    assert [manifest["written"].get("encoding") for manifest in told] == [None, "cp1250"]


def test_missing_values_are_counted_apart():
    feature = describe_column([None, None, 1.5, None, 2.5, 4.5] * 5)

    assert feature["nullable"]
    assert (feature["min"], feature["max"]) == (1.5, 4.5)
    assert feature["histogram"]["missing"] == {"a": 5, "b": 10}
    assert {k: sum(v) for k, v in feature["histogram"]["counts"].items()} == {"a": 10, "b": 5}


def test_a_boolean_tells_its_mode_and_counts():
    feature = describe_column([True, True, False, True] * 10)

    assert feature["type"] == "boolean"
    assert feature["mode"] is True
    assert feature["histogram"]["counts"] == {"a": [10, 10], "b": [0, 20]}


def test_a_category_tells_its_values_in_order_and_the_most_frequent():
    feature = describe_column(["y", "x", "y", "z"] * 10)

    assert feature["values"] == ["x", "y", "z"]
    assert feature["mode"] == "y"
    assert feature["histogram"]["counts"] == {"a": [0, 20, 0], "b": [10, 0, 10]}


def test_of_many_values_the_most_frequent_are_known():
    texts = [f"v{i:03}" for i in range(150)]
    feature = describe_column([*(texts[:50] * 20), *(texts * 2), *(texts[:50] * 8)])

    assert len(feature["values"]) == 99
    assert set(texts[:50]) <= set(feature["values"])


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([1, 20], 1),
        ([0.5, 3.0], 0.1),
        ([1234567.25, 2.0], 0.01),
        ([1 / 3, 2 / 3], 1e-6),
    ],
)
def test_a_step_is_the_last_decimal_of_the_table(values, step):
    mixed = np.random.default_rng(0).choice(values, 40)  # not one value for each class

    assert describe_column(mixed)["step"] == pytest.approx(step)


def make_table(columns, classes, make):
    """So many columns, each of 2,000 values that `make` draws."""
    random = np.random.default_rng(0)
    labels = [f"class {row % classes}" for row in range(2000)]
    values = {f"column_{place}": make(random) for place in range(columns)}
    return make_dataset(Table(pd.DataFrame(values | {"y": labels}), ""), "table", "y")


PIXELS = partial(np.random.Generator.integers, low=0, high=256, size=2000)
GENES = partial(np.random.Generator.normal, size=2000)


def draw_codes(random):
    return [f"c{code:02}" for code in random.integers(0, 100, 2000)]


@pytest.mark.parametrize(
    ("columns", "classes", "make", "bins"),
    [
        (100, 10, PIXELS, 20),
        (784, 10, PIXELS, 10),
        (1000, 10, GENES, 5),
        (500, 100, PIXELS, 5),
        (300, 10, draw_codes, 100),
    ],
)
def test_the_histograms_of_a_wide_table_are_as_fine_as_there_is_room_for(
    columns, classes, make, bins
):
    features = describe_features(make_table(columns, classes, make))

    assert len(json.dumps(features)) < 1024**2
    for feature in (features[0], features[-1]):
        counts = feature["histogram"]["counts"].values()
        assert {len(column) for column in counts} == {bins}
        assert sum(map(sum, counts)) == 2000
    assert len(features[0]["histogram"]["counts"]) == classes


def test_a_table_too_wide_for_a_manifest_is_refused_with_what_to_do():
    with pytest.raises(UnusableTable, match=r"2,500 features.*--drop.*column_"):
        describe_features(make_table(2500, 2, GENES))
