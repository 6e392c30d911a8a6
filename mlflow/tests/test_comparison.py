import numpy as np

from candidates import list_candidates
from comparison import Result, choose, compare


def result(name, log_losses):
    scores = {"log_loss": np.array(log_losses)}
    return Result(name, list_candidates(seed=0)["GaussianNB"], scores, np.zeros(len(log_losses)))


def test_the_lowest_mean_log_loss_is_chosen():
    steady, lucky = result("steady", [0.2, 0.2]), result("lucky", [0.01, 0.9])

    assert choose([lucky, steady]) is steady


def test_among_equals_the_first_is_chosen():
    first, second = result("first", [0.2, 0.2]), result("second", [0.2, 0.2])

    assert choose([first, second]) is first


def test_the_same_seed_gives_the_same_numbers(training):
    candidates = {r.name: list_candidates(seed=0)[r.name] for r in training.results}

    again = compare(candidates, training.dataset, seed=0)

    assert [r.summary() for r in again] == [r.summary() for r in training.results]


def test_scores_are_a_value_for_each_fold(training):
    for scored in training.results:
        assert {values.shape for values in scored.scores.values()} == {(15,)}
        assert (scored.scores["log_loss"] > 0).all()
        assert scored.scores["accuracy"].mean() > 0.9


def test_at_least_four_kinds_of_classifier_are_compared():
    kinds = {type(pipeline["classify"]) for pipeline in list_candidates(seed=0).values()}

    assert len(kinds) >= 4
