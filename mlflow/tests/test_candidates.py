import numpy as np
import pandas as pd
import pytest
from conftest import find_candidate
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from reading.formats import Table
from table.dataset import make_dataset, read_iris
from training.candidates import list_candidates
from training.evaluation import fit

NAMES = [candidate.name for candidate in list_candidates(seed=0)]


def fit_last(name, dataset):
    """A candidate fitted with the last of its parameters."""
    candidate = find_candidate(name)
    return fit(candidate, {it: values[-1] for it, values in candidate.grid.items()}, dataset)


@pytest.fixture(scope="module", params=NAMES)
def pipeline(request, mixed):
    return fit_last(request.param, mixed)


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


@pytest.mark.parametrize("name", NAMES)
def test_without_missing_values_in_training_they_are_imputed_all_the_same(name, mixed):
    whole = mixed.X.assign(y=mixed.y).dropna()
    pipeline = fit_last(name, make_dataset(Table(whole, ""), "whole", "y"))
    rows, usual = whole[list(mixed.X)].head(8), whole[["size", "whole", "member"]].median()
    imputed = dict(usual) | {"island": "Atlantis"}  # as good as an unknown category

    for column, value in imputed.items():
        missing, filled = (rows.assign(**{column: it}) for it in (np.nan, value))
        answered = pipeline.predict_proba(missing.astype(rows.dtypes))
        assert np.isfinite(answered).all()
        np.testing.assert_array_equal(answered, pipeline.predict_proba(filled))


@pytest.mark.filterwarnings("ignore::UserWarning")  # of more points than rows
@pytest.mark.parametrize("name", NAMES)
def test_a_table_without_missing_values_is_learned_as_without_an_imputer(name):
    X, y = read_iris().X, read_iris().y
    pipeline = fit_last(name, read_iris())
    (imputer, _), *others = clone(pipeline).steps

    plain = Pipeline(others).fit(X, y)

    assert imputer == "impute"
    np.testing.assert_array_equal(pipeline.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("LogisticRegression", ["impute", "scale", "classify"]),
        ("ExtraTreesClassifier", ["impute", "classify"]),
    ],
)
def test_a_table_of_numbers_needs_no_more_than_an_imputer_and_a_scale(name, steps):
    assert list(find_candidate(name).build(read_iris()).named_steps) == steps
