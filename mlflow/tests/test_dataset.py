import numpy as np
import pandas as pd
import pytest

from errors import UnusableTable
from reading.formats import Table
from table.choices import NO_CHOICES, Choices
from table.dataset import make_dataset, read_iris

ROWS = 40


def make(target=None, choices=NO_CHOICES, **columns):
    """A dataset of a good column and these, to predict a or b."""
    good = np.random.default_rng(0).random(ROWS)
    labels = ["a", "b"] * (ROWS // 2) if target is None else target
    frame = pd.DataFrame({"good": good, **columns, "y": labels})
    return make_dataset(Table(frame, ""), "table", "y", choices)


def repeat(*values):
    return (list(values) * ROWS)[:ROWS]


def test_iris_is_the_whole_table_with_units():
    iris = read_iris()

    assert iris.X.shape == (150, 4)
    assert list(iris.X.columns) == ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    assert iris.y.value_counts().to_dict() == {"setosa": 50, "versicolor": 50, "virginica": 50}
    assert set(iris.units.values()) == {"cm"}
    assert iris.sha256 == read_iris().sha256


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (repeat(1.5, 2.5, 3.5), "number"),
        (repeat(1, 2, 3), "number"),
        (repeat(1, None, 3), "number"),
        (repeat(True, False, False), "boolean"),
        (repeat(True, None, False), "boolean"),
        (repeat("x", "y", "z"), "category"),
        (repeat("x", None, "z"), "category"),
        (repeat("12", "13A", "14B"), "category"),
        (pd.Series(repeat("x", "y", "z"), dtype="category"), "category"),
        (pd.Series(repeat(1, 2, None), dtype="Int64"), "number"),
        (pd.Series(repeat(True, None, False), dtype="boolean"), "boolean"),
    ],
)
def test_a_column_is_what_it_holds(values, kind):
    dataset = make(x=values)

    assert dataset.kinds["x"] == kind
    assert dataset.nullable == (["x"] if dataset.X["x"].isna().any() else [])


def test_numbers_and_booleans_are_floats_and_codes_are_text_when_asked():
    codes = Choices(categories=["c"])
    dataset = make(
        None, codes, n=repeat(1, 2, 3), b=repeat(True, None, False), c=repeat(7, 8, None)
    )

    assert dataset.X["n"].tolist()[:3] == [1.0, 2.0, 3.0]
    assert dataset.X["b"].fillna(9).tolist()[:3] == [1.0, 9.0, 0.0]
    assert dataset.X["c"].fillna("").tolist()[:3] == ["7", "8", ""]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([None] * ROWS, "it holds nothing"),
        ([7] * ROWS, "it holds one value only"),
        (["same"] * ROWS, "it holds one value only"),
        ([f"row {i}" for i in range(ROWS)], "all different"),
        (list(range(100, 100 + ROWS)), "it numbers the rows"),
        ([f"2026-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(ROWS)], "dates"),
        ([f"{1 + i % 28}.{1 + i % 12}.2026" for i in range(ROWS)], "dates"),
        (pd.date_range("2026-01-01", periods=ROWS), "dates"),
    ],
)
def test_a_column_that_teaches_nothing_is_left_out_and_named(values, reason):
    dataset = make(x=values)

    assert list(dataset.X.columns) == ["good"]
    [remark] = dataset.remarks
    assert remark.startswith("Column x is left out: ")
    assert reason in remark


def test_too_many_texts_are_left_out():
    texts = [f"text {i % 300}" for i in range(500)]
    frame = pd.DataFrame({"good": np.linspace(0, 1, 500) ** 2, "x": texts, "y": ["a", "b"] * 250})

    dataset = make_dataset(Table(frame, ""), "table", "y")

    assert list(dataset.X.columns) == ["good"]
    assert "300 different texts" in dataset.remarks[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([*range(ROWS - 1), "n/k"], "Column x holds numbers, but for 1 of 40 values: 'n/k' in row"),
        ([float("inf"), *([0.5] * (ROWS - 1))], "Column x holds infinite"),
        ([[1, 2]] * ROWS, "Column x holds lists"),
        ([1j, 2j] * (ROWS // 2), "Column x holds complex"),
        (repeat("A", "B"), "Column x is y under another name.*--drop x"),
        (repeat(0, 1), "Column x tells y under another name.*--drop x"),
    ],
)
def test_a_column_that_needs_a_decision_is_refused_and_named(values, message):
    with pytest.raises(UnusableTable, match=message):
        make(x=values)


def test_all_columns_of_numbers_with_other_cells_are_counted():
    cells = [*range(ROWS - 1), "k.A."]

    with pytest.raises(UnusableTable, match=r"Column a .* 2 columns hold such cells: a and b\.$"):
        make(a=cells, b=cells)
    with pytest.raises(UnusableTable, match=r" 5 columns hold such cells: a, b, c and 2 more\.$"):
        make(**dict.fromkeys("abcde", cells))
    with pytest.raises(UnusableTable, match=r"--drop a\.$"):
        make(a=cells)


def test_a_dropped_column_is_not_looked_at():
    dataset = make(x=repeat("A", "B"), choices=Choices(drop=["x"]))

    assert list(dataset.X.columns) == ["good"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"] * ROWS, "Column y holds only 'a'"),
        (["a"] * (ROWS - 3) + ["b"] * 3, r"Class 'b' \(3 rows\) of y has fewer than 5"),
        (["a", "b"] * 9 + [None] * (ROWS - 18), "y has labels in 18 rows; .* needs 20"),
        ([[1]] * ROWS, "Column y holds lists or the like, not labels"),
        (list(np.linspace(0, 1, ROWS)), "Column y holds 40 different numbers: too many"),
    ],
)
def test_a_target_that_cannot_be_learnt_is_refused_and_named(labels, message):
    with pytest.raises(UnusableTable, match=message):
        make(target=labels)


def test_rows_without_a_label_are_left_out_and_counted():
    dataset = make(target=[None, None, *repeat("a", "b")[:-2]])

    assert len(dataset.X) == ROWS - 2
    assert dataset.remarks == ["2 rows without a label in y are left out."]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (repeat(0, 1), ["0", "1"]),
        (repeat(0.0, 1.0), ["0", "1"]),
        (repeat(True, False), ["False", "True"]),
        (repeat(0.5, 1.5), ["0.5", "1.5"]),
    ],
)
def test_labels_are_text(labels, classes):
    assert make(target=labels).classes == classes


def test_a_column_that_is_not_there_is_named_with_the_nearest():
    table = Table(pd.DataFrame({"species": ["a"], "x": [1]}), "")

    with pytest.raises(UnusableTable, match=r"no column SPECIES\. Did you mean species"):
        make_dataset(table, "table", "SPECIES")
    with pytest.raises(UnusableTable, match="no column w"):
        make_dataset(table, "table", "species", Choices(drop=["w"]))


def test_nothing_left_is_said_with_the_reasons():
    table = Table(pd.DataFrame({"x": [1] * ROWS, "y": repeat("a", "b")}), "")

    with pytest.raises(UnusableTable, match=r"No column is left.*Column x is left out"):
        make_dataset(table, "table", "y")


def test_a_sample_keeps_the_classes_proportions_and_enough_of_the_rarest():
    labels = ["common"] * 9_950 + ["rare"] * 50
    table = Table(pd.DataFrame({"x": np.random.default_rng(0).random(10_000), "y": labels}), "")
    dataset = make_dataset(table, "table", "y")

    sample = dataset.sample(1_000, seed=0)

    assert sample.y.value_counts().to_dict() == {"common": 995, "rare": 10}
    assert sample.X.equals(dataset.sample(1_000, seed=0).X)
    assert not sample.X.equals(dataset.sample(1_000, seed=1).X)
