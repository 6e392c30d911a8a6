"""Pickles that ask for more than a classifier needs."""

import io
import os
import pickle

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from unpickling import NotAllowed, unpickle


class Calls:
    """A pickle of it calls the function."""

    def __init__(self, function, *arguments):
        self._call = (function, arguments)

    def __reduce__(self):
        return self._call


def dump(thing):
    pickled = io.BytesIO()
    joblib.dump(thing, pickled)
    return pickled.getvalue()


HOSTILE = {
    "a call": Calls(os.system, "true"),
    "eval": Calls(eval, "1"),
    "in a pipeline": make_pipeline(Calls(os.system, "true"), LogisticRegression()),
    "in an array of objects": np.array([Calls(os.system, "true")], dtype=object),
    "a function that is called": make_pipeline(FunctionTransformer(np.exp), LogisticRegression()),
    "an innocent module that runs strings": Calls(np.testing.runstring, "1", {}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_not_on_the_list_is_refused(name):
    with pytest.raises(NotAllowed, match="not on the allow-list"):
        unpickle(dump(HOSTILE[name]))


def test_a_class_is_not_changed():
    # The class itself, then state for it.
    changing = b"\x80\x04csklearn.linear_model._logistic\nLogisticRegression\n}X\x01\0\0\0CK\x01sb."

    with pytest.raises(NotAllowed, match="it changes a class"):
        unpickle(changing)
    assert not hasattr(LogisticRegression, "C")


def test_what_is_no_pickle_is_refused():
    with pytest.raises(NotAllowed, match="no pickle"):
        unpickle(b"PK\x03\x04")


def test_a_classifier_is_loaded_with_its_arrays():
    X, y = np.array([[0.0], [1.0], [2.0]]), ["a", "a", "b"]
    fitted = LogisticRegression().fit(X, y)

    loaded = unpickle(dump(fitted))

    assert loaded.predict_proba(X).tolist() == fitted.predict_proba(X).tolist()
    assert pickle.dumps(loaded.classes_) == pickle.dumps(fitted.classes_)
