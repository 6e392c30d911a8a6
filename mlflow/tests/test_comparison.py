import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
from conftest import find_candidate
from sklearn.naive_bayes import GaussianNB

from training.comparison import (
    Means,
    Result,
    choose,
    compare,
    corrected_error,
    find_runner_up,
)
from training.comparison import split as split_rows
from training.evaluation import Score


class Broken(GaussianNB):
    """Cannot be fitted."""

    def fit(self, *_):
        raise ValueError("no room at the inn")


class Deadly(GaussianNB):
    """Takes its process with it."""

    def fit(self, *_):
        os.kill(os.getpid(), signal.SIGKILL)


class Endless(GaussianNB):
    """Is never done."""

    def fit(self, *_):
        time.sleep(3600)


def result(name, log_losses):
    scores = [Score({"log_loss": value}, {}, 0.0, 0.0) for value in log_losses]
    return Result(replace(find_candidate("GaussianNB"), name=name), scores)


def candidate(classifier):
    name = type(classifier).__name__
    return replace(find_candidate("GaussianNB"), name=name, classifier=classifier, grid={})


def test_the_simplest_within_one_standard_error_of_the_best_is_chosen():
    best = result("best", [0.1, 0.3, 0.1, 0.3])  # 0.2 ± 0.058
    simple, simplest = result("simple", [0.25] * 4), result("simplest", [0.27] * 4)

    assert choose([simplest, simple, best]).name == "simple"
    assert choose([simplest, best]).name == "best"


def test_the_runner_up_is_the_lowest_of_the_others():
    first, second, third = result("a", [0.1] * 2), result("b", [0.2] * 2), result("c", [0.3] * 2)

    assert find_runner_up([third, first, second], first) == [second]
    assert find_runner_up([first], first) == []


def test_the_corrected_error_is_nadeau_and_bengios():
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])

    assert corrected_error(values) == pytest.approx(values.std(ddof=1) * np.sqrt(0.1 + 1 / 4))


def test_folds_are_stratified_and_the_same_for_the_same_seed(training):
    folds, again = training.setting.folds, split_rows(training.dataset, seed=0)

    assert all((one.test == other.test).all() for one, other in zip(folds, again, strict=True))
    assert len(folds) == 10
    for fold in folds:
        counts = training.dataset.y.iloc[fold.test].value_counts()
        assert set(counts) <= {9, 10, 11}  # two of the flowers are equal, and count as one
        assert not set(fold.train) & set(fold.test)


def test_the_numbers_are_the_same_whatever_the_number_of_cores(training, monkeypatch):
    def run(cores):
        monkeypatch.setenv("LOKY_MAX_CPU_COUNT", str(cores))
        comparison = compare([find_candidate("LogisticRegression")], training.setting)
        return comparison.results[0].by_fold("log_loss").tolist()

    assert run(1) == run(3)


@pytest.mark.parametrize(
    ("broken", "reason"), [(Broken(), "no room at the inn"), (Deadly(), "its process died")]
)
def test_a_candidate_that_fails_or_kills_its_process_is_left_out_alone(training, broken, reason):
    others = [find_candidate("GaussianNB"), find_candidate("LinearDiscriminantAnalysis")]

    comparison = compare([others[0], candidate(broken), others[1]], training.setting)

    assert [result.name for result in comparison.results] == [other.name for other in others]
    assert reason in comparison.failures[type(broken).__name__].reason


class Wordy(GaussianNB):
    """Says at length why it cannot be fitted."""

    def fit(self, *_):
        raise np.linalg.LinAlgError(f"\nNo room. {'So many guests. ' * 100}\nNone at all.")


def test_a_failure_of_all_fits_is_told_in_one_line_and_kept_whole(training):
    broken = replace(find_candidate("GaussianNB"), name="x" * 30, classifier=Wordy())

    comparison = compare([find_candidate("LogisticRegression"), broken], training.setting)

    [line], [failure] = comparison.list_failures(), comparison.failures.values()
    assert line.startswith(f"{'x' * 30} is left out: No room. So many guests.")
    assert line[-1] == "…"
    assert len(line.splitlines()) == 1
    assert len(line) <= 200
    assert failure.reason.endswith("None at all.")


def test_a_budget_that_is_over_leaves_only_what_is_vital(training):
    candidates = [find_candidate("GaussianNB"), candidate(Endless())]

    comparison = compare(candidates, training.setting, means=Means(deadline=0.0))

    assert [result.name for result in comparison.results] == ["GaussianNB"]
    assert "the budget ended after 0 of its 10 folds" in comparison.failures["Endless"].reason
