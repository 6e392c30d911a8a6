from dataclasses import replace

import numpy as np
import pytest
from conftest import find_candidate
from sklearn.metrics import log_loss

from table.dataset import read_iris
from training.comparison import split
from training.evaluation import METRICS, fit, measure, score, search


def test_a_search_never_sees_the_rows_it_is_scored_on(mixed):
    """Labels of test rows may be anything: parameters and model stay the same."""
    candidate, fold = find_candidate("LogisticRegression"), split(mixed, seed=0)[0]
    strange = mixed.y.copy()
    strange.iloc[fold.test] = np.roll(strange.iloc[fold.test].to_numpy(), 7)

    honest = score(candidate, mixed, fold, seed=0)
    blind = score(candidate, replace(mixed, y=strange), fold, seed=0)

    assert blind.params == honest.params
    assert blind.metrics["log_loss"] > honest.metrics["log_loss"]


def test_a_score_is_that_of_the_fitted_pipeline_on_the_folds_test_rows():
    iris, candidate = read_iris(), find_candidate("GaussianNB")
    fold = split(iris, seed=0)[3]

    scored = score(candidate, iris, fold, seed=0)

    pipeline = fit(candidate, scored.params, iris.take(fold.train))
    test = iris.take(fold.test)
    assert scored.metrics["log_loss"] == log_loss(test.y, pipeline.predict_proba(test.X))
    assert set(scored.metrics) == set(METRICS)
    assert scored.fit_seconds > 0


def test_a_search_leaves_the_default_only_for_what_is_better_by_more_than_chance():
    assert search(find_candidate("LogisticRegression"), read_iris(), seed=0)["C"] >= 10
    assert search(find_candidate("LinearDiscriminantAnalysis"), read_iris(), seed=0) == {
        "shrinkage": None
    }


@pytest.mark.parametrize("classes", [["a", "b"], ["a", "b", "c"]])
def test_perfect_and_worst_probabilities_have_the_metrics_ends(classes):
    y = np.array(classes * 10)
    perfect = (y[:, None] == np.array(classes)).astype(float)

    best, worst = measure(y, perfect, classes), measure(y, np.roll(perfect, 1, axis=1), classes)

    assert best["log_loss"] == pytest.approx(0, abs=1e-9)
    assert best["accuracy"] == best["roc_auc_ovr"] == best["f1_macro"] == 1
    assert best["brier"] == 0
    assert worst["accuracy"] == 0
    assert worst["brier"] == 1
