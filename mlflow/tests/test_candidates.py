import numpy as np
import pandas as pd
import pytest
from conftest import find_candidate

from table.dataset import read_iris
from training.candidates import list_candidates
from training.evaluation import fit

NAMES = [candidate.name for candidate in list_candidates(seed=0)]


@pytest.fixture(scope="module", params=NAMES)
def pipeline(request, mixed):
    """A candidate of each kind, fitted with the last of its parameters."""
    candidate = find_candidate(request.param)
    return fit(candidate, {it: values[-1] for it, values in candidate.grid.items()}, mixed)


def test_eight_kinds_are_compared_with_a_baseline_each_searched():
    candidates = list_candidates(seed=0)

    assert NAMES[0] == "Baseline"
    assert len(set(NAMES)) >= 9
    assert all(2 <= len(values) <= 5 for it in candidates[1:] for values in it.grid.values())
    assert all(it.grid for it in candidates[1:])


def test_a_pipeline_takes_raw_rows_as_a_frame_and_as_an_array(pipeline, mixed):
    X = mixed.X.iloc[:20]
    array = X.astype(object).where(X.notna(), np.nan).to_numpy()

    expected = pipeline.predict_proba(X)

    assert np.isfinite(expected).all()
    assert expected.sum(axis=1) == pytest.approx(np.ones(20))
    np.testing.assert_array_equal(pipeline.predict_proba(array), expected)


def test_a_pipeline_answers_unknown_categories_and_missing_values(pipeline):
    rows = pd.DataFrame(
        [
            {"size": np.nan, "whole": 2.0, "member": np.nan, "island": np.nan},
            {"size": 1.5, "whole": 2.0, "member": True, "island": "Atlantis"},
        ]
    )

    assert np.isfinite(pipeline.predict_proba(rows)).all()


@pytest.mark.parametrize(
    ("name", "steps"),
    [("LogisticRegression", ["scale", "classify"]), ("ExtraTreesClassifier", ["classify"])],
)
def test_a_table_of_numbers_needs_no_more_than_a_scale(name, steps):
    assert list(find_candidate(name).build(read_iris()).named_steps) == steps
