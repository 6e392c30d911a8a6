import pandas as pd
import pytest

from datasets import Dataset, describe_features, read_iris


def describe(values):
    X = pd.DataFrame({"x": values})
    y = pd.Series(["a", "b"] * (len(values) // 2))
    [feature] = describe_features(Dataset("table", "y", X, y))
    return feature


def test_iris_is_the_whole_table():
    iris = read_iris()

    assert iris.X.shape == (150, 4)
    assert list(iris.X.columns) == ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    assert iris.y.value_counts().to_dict() == {"setosa": 50, "versicolor": 50, "virginica": 50}


def test_a_feature_tells_its_range_and_unit():
    sepal_length = describe_features(read_iris())[0]

    assert sepal_length["unit"] == "cm"
    assert (sepal_length["min"], sepal_length["max"]) == (4.3, 7.9)
    assert sepal_length["mean"] == pytest.approx(5.843, abs=1e-3)
    assert sepal_length["median"] == 5.8


def test_a_histogram_counts_every_row_of_every_class():
    histogram = describe_features(read_iris())[0]["histogram"]

    assert {label: sum(counts) for label, counts in histogram["counts"].items()} == {
        "setosa": 50,
        "versicolor": 50,
        "virginica": 50,
    }
    assert (histogram["edges"][0], histogram["edges"][-1]) == (4.3, 7.9)


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
    assert describe(values)["step"] == pytest.approx(step)


def test_the_hash_tells_tables_apart():
    iris = read_iris()
    changed = iris.X.copy()
    changed.iloc[0, 0] += 0.1

    assert iris.sha256 == read_iris().sha256
    assert iris.sha256 != Dataset("iris", "species", changed, iris.y).sha256
