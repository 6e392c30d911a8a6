from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import find_candidate
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedShuffleSplit
from sklearn.neighbors import KNeighborsClassifier

from reading.formats import Table
from table.dataset import make_dataset, read_iris
from training.comparison import FOLDS, split
from training.evaluation import search
from training.folds import deal, number_instances
from training.report import headline


@pytest.fixture(scope="module")
def repeating():
    """Each row about four times, a tenth of the values missing, and some rows labelled twice."""
    random = np.random.default_rng(0)
    X = pd.DataFrame({"x": random.normal(size=150), "c": random.choice(["p", "q"], 150)})
    X.loc[random.random(150) < 0.1, "x"] = None
    X.loc[random.random(150) < 0.1, "c"] = None
    chosen = random.integers(0, 150, 600)
    labels = np.where(random.random(600) < 0.1, "c", np.array(["a", "b"])[chosen % 2])
    frame = X.iloc[chosen].reset_index(drop=True).assign(y=labels)
    return make_dataset(Table(frame, ""), "repeating", "y")


def find_values(dataset, rows):
    return set(map(tuple, dataset.X.iloc[rows].astype(object).fillna("missing").to_numpy()))


def test_equal_rows_are_never_trained_and_tested_on(repeating):
    folds = split(repeating, seed=0)

    assert len(folds) == 10
    for fold in folds:
        assert not find_values(repeating, fold.train) & find_values(repeating, fold.test)


def test_every_row_is_tested_once_in_each_repeat(repeating):
    folds = split(repeating, seed=0)

    for repeat in (folds[:5], folds[5:]):
        assert sorted(np.concatenate([fold.test for fold in repeat])) == list(range(600))
        for fold in repeat:
            assert sorted([*fold.train, *fold.test]) == list(range(600))
            assert set(repeating.y.iloc[fold.test]) == {"a", "b", "c"}


@pytest.mark.parametrize(
    "splitter",
    [
        RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=0),
        StratifiedShuffleSplit(1, test_size=0.25, random_state=0),
    ],
)
def test_without_repeats_the_folds_are_the_splitters_own(splitter, mixed):
    dataset = mixed.take(np.flatnonzero(~mixed.X.duplicated()))

    dealt = deal(dataset, number_instances(dataset, FOLDS), splitter)

    for fold, (train, test) in zip(dealt, splitter.split(dataset.X, dataset.y), strict=True):
        assert fold.train.tolist() == train.tolist()
        assert fold.test.tolist() == test.tolist()


def test_zero_is_zero_whatever_its_sign():
    iris = read_iris()
    X = iris.X.copy()
    X.loc[[0, 1]] = [[0.0] * 4, [-0.0] * 4]

    instances = number_instances(replace(iris, X=X), FOLDS)

    assert instances[0] == instances[1] == 0


@pytest.mark.parametrize(("different", "times"), [(60, 10), (60, 30), (1100, 5)])
def test_a_search_is_not_taken_in_by_equal_rows(different, times):
    """One neighbour knows a repeated row by heart, but labels drawn at random tell of no other."""
    random = np.random.default_rng(0)
    columns = {"x": random.normal(size=different), "y": random.choice(["a", "b"], different)}
    frame = pd.concat([pd.DataFrame(columns)] * times, ignore_index=True)
    dataset = make_dataset(Table(frame, ""), "repeating", "y")
    neighbors = KNeighborsClassifier(weights="uniform")
    grid = {"n_neighbors": [300, 1]}
    candidate = replace(find_candidate("KNeighborsClassifier"), classifier=neighbors, grid=grid)

    assert search(candidate, dataset, seed=0) == {"n_neighbors": 300}


def test_a_long_table_of_few_different_rows_is_searched_with():
    """A quarter of its different rows has not one of each class."""
    frame = pd.DataFrame({"x": range(120), "y": [f"class {row % 40}" for row in range(120)]})
    dataset = make_dataset(Table(pd.concat([frame] * 10, ignore_index=True), ""), "long", "y")

    assert search(find_candidate("GaussianNB"), dataset, seed=0)["var_smoothing"] <= 0.1


@pytest.fixture
def scarce():
    """Of the class rare there are two different rows, of the others many; all twice and more."""
    random = np.random.default_rng(0)
    usual = pd.DataFrame({"x": random.normal(size=60), "y": ["a", "b"] * 30})
    rare = pd.DataFrame({"x": [5.0, 6.0] * 5, "y": ["rare"] * 10})
    frame = pd.concat([usual, usual, rare], ignore_index=True)
    return make_dataset(Table(frame, ""), "scarce", "y")


def test_a_class_with_too_few_different_rows_is_in_every_part_all_the_same(scarce):
    folds = split(scarce, seed=0)

    for fold in folds:
        assert scarce.y.iloc[fold.test].tolist().count("rare") == 2
        both = find_values(scarce, fold.train) & find_values(scarce, fold.test)
        assert both <= {(5.0,), (6.0,)}


def test_such_a_class_is_named(scarce):
    assert "Equal rows of rare are trained and tested on" in headline(scarce, scarce)
    assert "Equal rows" not in headline(read_iris(), read_iris())
