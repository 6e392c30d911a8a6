"""A real comparison, run once."""

from types import SimpleNamespace

import pytest
from processes import published  # noqa: F401  # a fixture

from candidates import list_candidates
from comparison import choose, compare
from datasets import read_iris


@pytest.fixture(scope="session")
def training():
    """Iris, two candidates compared on it, and the fitted winner."""
    dataset = read_iris()
    simple = ("LogisticRegression", "GaussianNB")
    candidates = {n: c for n, c in list_candidates(seed=0).items() if n in simple}
    results = compare(candidates, dataset, seed=0)
    winner = choose(results)
    winner.pipeline.fit(dataset.X, dataset.y)
    return SimpleNamespace(dataset=dataset, results=results, winner=winner)
