import pytest
from test_comparison import result

from table.dataset import read_iris
from training.candidates import list_candidates
from training.rival import NotComparable, make_rival, p_value

CANDIDATES = list_candidates(seed=0)
NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def manifest(**changes):
    return {
        "version": "2026_11_21_T20_44_20",
        "features": [{"name": name, "type": "number"} for name in NAMES],
        "target": {"name": "species", "classes": ["setosa", "versicolor", "virginica"]},
        "estimator": "LogisticRegression",
        "params": {"C": 10.0, "max_iter": 1000},
    } | changes


def test_the_live_model_is_a_candidate_with_its_own_parameters_and_no_search():
    rival = make_rival(manifest(), CANDIDATES, read_iris())

    assert rival.name == "Live 2026_11_21_T20_44_20"
    assert rival.classifier.C == 10
    assert not rival.grid


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"features": [{"name": "x", "type": "number"}]}, "has other features"),
        ({"target": {"name": "species", "classes": ["a", "b"]}}, "has other classes"),
        ({"estimator": "Oracle"}, "is none of the candidates"),
        ({"params": {}}, "has other parameters"),
    ],
)
def test_what_cannot_be_compared_is_said(changes, reason):
    with pytest.raises(NotComparable, match=reason):
        make_rival(manifest(**changes), CANDIDATES, read_iris())


def test_chance_is_told_from_loss():
    live = result("live", [0.20, 0.22, 0.18, 0.21, 0.19])
    worse = result("worse", [0.40, 0.43, 0.37, 0.41, 0.40])
    alike = result("alike", [0.21, 0.20, 0.19, 0.20, 0.20])

    assert p_value(worse, live) < 0.001
    assert p_value(live, worse) > 0.99
    assert 0.3 < p_value(alike, live) < 0.7
    assert p_value(live, live) == 1
