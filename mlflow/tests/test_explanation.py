import struct
from dataclasses import replace

import numpy as np
import pytest
from conftest import find_candidate
from test_comparison import Deadly

from training.comparison import Result, Setting, compare, split
from training.explanation import draw, explain


@pytest.fixture(scope="module")
def explanation(training):
    return explain(training.winner, training.setting)


def test_each_row_is_explained_by_a_model_that_has_not_seen_it(explanation, training):
    assert explanation.labels.shape == (150,)
    assert explanation.probabilities.shape == (150, 3)
    predicted = np.array(explanation.classes)[explanation.probabilities.argmax(axis=1)]
    rows = [len(fold.test) for fold in training.setting.folds[:5]]
    accuracy = np.average(training.winner.by_fold("accuracy")[:5], weights=rows)
    assert (predicted == explanation.labels).mean() == pytest.approx(accuracy)


def test_the_petals_tell_more_than_the_sepals(explanation):
    means = dict(zip(explanation.features, explanation.importances.mean(axis=0), strict=True))

    assert min(means["petal_length"], means["petal_width"]) > max(
        means["sepal_length"], means["sepal_width"]
    )


def test_without_a_whole_explanation_there_is_none(training):
    broken = replace(training.winner.candidate, classifier=Deadly(), grid={})
    scores = [score._replace(params={}) for score in training.winner.scores]

    assert explain(Result(broken, scores), training.setting) is None


def test_everything_is_drawn_and_with_names_that_look_like_formulas(mixed):
    named = mixed.X.rename(columns={"size": "$x^$ größe 大きさ", "whole": "_{\\broken$"})
    kinds = dict(zip(named.columns, mixed.kinds.values(), strict=True))
    labels = mixed.y.replace({"a": "$\\frac$", "b": "_b"})
    dataset = type(mixed)("t", "y", named, labels, "", kinds, ["member", "island"])
    setting = Setting(dataset, split(dataset, 0), 0)
    comparison = compare([find_candidate("GaussianNB")], setting)

    explained = explain(comparison.results[0], setting)
    images = draw(comparison.results, comparison.results[0], explained)

    names = ("comparison", "confusion_matrix", "roc", "calibration", "permutation_importance")
    assert set(images) == {f"{name}.png" for name in names}
    for image in images.values():
        width, height = struct.unpack(">II", image[16:24])
        assert min(width, height) > 100
