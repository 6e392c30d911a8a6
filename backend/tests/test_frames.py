import sys
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import VERSION, describe, drop, pickled, reason
from mixed import FEATURES, INSTANCE, draw_table, fit_mixed
from processes import wait_until
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)

from errors import ModelRefused
from schemas import Description
from worker.assembly import assemble
from worker.compiling.compilation import compile_model

IRIS = load_iris(as_frame=True)
A, B, C, D = IRIS.data.columns
HEAD = {"file": {"name": "x", "version": "x", "created_at": 0}}
HEAD |= {"is_tried": False, "takes_unchecked": False}


NOTHING = SimpleNamespace(find_spec=lambda *_: None)  # can be imported from there


def choose(*pairs, remainder="drop"):
    """A logistic regression of what transformers make of columns."""
    named = [(f"t{i}", transformer, columns) for i, (transformer, columns) in enumerate(pairs)]
    columns = ColumnTransformer(named, remainder=remainder, verbose_feature_names_out=False)
    return make_pipeline(columns, LogisticRegression(max_iter=1000))


def numbers():
    return make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())


def choose_twice():
    """Choose by name from columns that another transformer has chosen and reordered."""
    first, last = choose((numbers(), [D, A]), (MinMaxScaler(), [B])), choose((numbers(), [B, A]))
    return make_pipeline(first[0], *last)


def pick(columns):
    return choose((StandardScaler(), columns))


CHOSEN = {
    "lists": choose((numbers(), [D, A]), (KBinsDiscretizer(), [B])),
    "an array": pick(np.array([D, A], dtype=object)),
    "a slice": choose((StandardScaler(), slice(B, D)), (MinMaxScaler(), [A])),
    "a mask": pick([True, False, False, True]),
    "places": pick([3, 0]),
    "types": pick(make_column_selector(dtype_include="number")),
    "a pattern": pick(make_column_selector("petal")),
    "the rest": choose((numbers(), [D]), ("drop", [A]), remainder=MinMaxScaler()),
    "within itself": choose((choose((StandardScaler(), [D]))[:1], [A, D])),
    "twice": choose_twice().set_output(transform="pandas"),
    "calibrated": CalibratedClassifierCV(pick([D, A])),
    "a search": GridSearchCV(pick([D, A]), {"logisticregression__C": [0.1, 1]}),
    "a vote": VotingClassifier([("a", pick([D])), ("b", RandomForestClassifier(5))], voting="soft"),
    "a stack": StackingClassifier([("a", pick([D, A])), ("b", pick([C]))]),
    "no columns": make_pipeline(SelectKBest(k=2), LogisticRegression(max_iter=1000)),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_columns_chosen_by_name_are_answered_without_data_frames(name, monkeypatch):
    X = IRIS.data
    content = pickled(CHOSEN[name].fit(X, IRIS.target))
    expected = CHOSEN[name].predict_proba(X)
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "pandas")  # which is not in the backend's image
        patch.setattr(sys, "meta_path", [NOTHING])

        model, _ = assemble(content, HEAD, None)
        _, answered = model.answer(X.to_numpy())

    assert [feature.name for feature in model.description.features] == list(X.columns)
    assert np.array_equal(answered, expected)


def test_text_is_chosen_by_name_where_a_manifest_tells_of_it():
    table, by_name = draw_table(), clone(fit_mixed())
    labels = fit_mixed().predict(table.to_numpy())
    by_place = clone(by_name).fit(table, labels)
    columns = by_name[0]
    columns.transformers = [(*it, [*table.columns[at]]) for *it, at in columns.transformers]
    by_name.fit(table, labels)
    manifest = describe(by_place, b"", VERSION, INSTANCE) | {"features": FEATURES}

    model, _ = assemble(pickled(by_name), HEAD, Description.model_validate(manifest))

    expected = by_place.predict_proba(table.to_numpy())
    assert np.array_equal(model.answer(table.to_numpy())[1], expected)
    assert compile_model(model).head["kind"] == "layers"


@pytest.mark.parametrize("encoder", [OneHotEncoder(handle_unknown="ignore"), OrdinalEncoder()])
def test_a_pickle_fitted_on_text_is_refused_without_a_manifest(tmp_path, start, encoder):
    table = IRIS.data[[A]].assign(island=["Biscoe", "Dream", "Biscoe"] * 50)
    drop(tmp_path, choose((StandardScaler(), [A]), (encoder, ["island"])).fit(table, IRIS.target))
    client = start()

    wait_until(lambda: 'It was fitted on text such as "Biscoe"' in reason(client))


ODD = {
    "an index of pandas": (IRIS.data.columns[:2], r"Name .* in a list of text: list\(X.columns\)"),
    "a type of NumPy": (make_column_selector(dtype_include=np.number), 'dtype_include="number"'),
}


@pytest.mark.parametrize("name", ODD)
def test_columns_chosen_as_no_list_can_hold_them_say_what_to_do(name):
    columns, said = ODD[name]

    with pytest.raises(ModelRefused, match=said):
        assemble(pickled(pick(columns).fit(IRIS.data, IRIS.target)), HEAD, None)


def test_a_pickle_that_does_not_answer_tells_why(tmp_path, start):
    ordinal = OrdinalEncoder().fit(IRIS.data[[A]])  # knows 1.0 of no column
    drop(tmp_path, choose((ordinal, [A])).fit(IRIS.data, IRIS.target))
    client = start()

    wait_until(lambda: "Found unknown categories [np.float64(1.0)] in column 0" in reason(client))


def test_a_model_with_columns_by_name_is_compiled_and_asked_by_its_names(tmp_path, start_live):
    drop(tmp_path, pick([D, A]).fit(IRIS.data, IRIS.target_names[IRIS.target]))
    client = start_live()

    instance = dict(zip(IRIS.data.columns, [5.1, 3.5, 1.4, 0.2], strict=True))
    answer = client.post("/predict", json=instance)

    assert answer.json()["prediction_class"] == "setosa"
    assert client.get("/models/live").json()["engine"]["name"] == "linear"
